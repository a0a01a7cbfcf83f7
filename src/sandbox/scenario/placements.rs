//! Tasks that find no place: the `[[placement]]` tables of a scenario file.
//!
//! ```toml
//! [[placement]]
//! service = "web"           # which tasks: service, family and revision must all match, as far as given
//! times = 3                 # so many attempts fail, then there is room; for ever when not given
//! message = "because no container instance met all of its requirements"
//! reason = "RESOURCE:MEMORY"
//! ```

use crate::sandbox::world::ecs::Trouble;
use serde::Deserialize;

/// One `[[placement]]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Written {
    family: Option<String>,
    revision: Option<u32>,
    service: Option<String>,
    times: u32,
    message: String,
    reason: String,
    counted: bool,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            family: None,
            revision: None,
            service: None,
            times: u32::MAX,
            message: "because no container instance met all of its requirements".to_owned(),
            reason: "RESOURCE:MEMORY".to_owned(),
            counted: false,
        }
    }
}

impl From<Written> for Trouble {
    fn from(written: Written) -> Self {
        Self {
            family: written.family,
            revision: written.revision.map(|revision| revision.to_string()),
            service: written.service,
            times: written.times,
            message: written.message.trim_end_matches('.').to_owned(),
            reason: written.reason,
            counted: written.counted,
        }
    }
}
