//! What workers tell, kept as both reporters would write it.

use slipway::report::event::{Event, Tell};
use slipway::report::human::{self, Style};
use slipway::report::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Everything that was told; a cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    /// Where events go.
    pub fn tell(&self) -> Tell {
        let told = self.clone();
        Tell::new(move |event| told.0.lock().unwrap().push(event))
    }

    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// As people read it.
    pub fn human(&self) -> String {
        let style = Style { colour: false };
        let lines = self
            .events()
            .into_iter()
            .flat_map(|event| human::lines(&event, style));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// As machines read it.
    pub fn json(&self) -> String {
        let lines = self.events().into_iter();
        let lines = lines.map(|event| json::event(&event, Duration::ZERO).to_string());
        lines.collect::<Vec<_>>().join("\n")
    }
}
