//! Carrying artifacts from and to S3: streamed, in several requests at the same time, never whole in memory.
//!
//! `fetch` reads an object into a file, `store` packs a zip and writes it; `ranges` decides what is asked for at once, and
//! `bucket` is S3 as one job sees it.

mod bucket;
mod checksum;
mod fetch;
mod parts;
mod ranges;
mod store;
mod upload;
mod written;

pub use bucket::Bucket;
pub use fetch::fetch;
pub use ranges::Amounts;
pub use store::{Stored, store};
pub use written::{Written, look_again, put_whole};
