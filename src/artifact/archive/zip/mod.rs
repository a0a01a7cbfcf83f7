//! Zips, as APPNOTE 6.3.10 has them. rawzip reads and writes their records; where two readers of a zip could see different
//! things, it is refused here.
//!
//! `end` says which end counts, `directory` walks through the entries, `records` judges one, `data` reads what is in it, and
//! `writer` makes a zip.

mod data;
mod directory;
mod end;
mod fault;
mod records;
mod writer;

pub use data::{Data, Inflater};
pub use directory::{Directory, Room};
pub use fault::ZipFault;
pub use records::Central;
pub use writer::{WriteFault, Writer, ZipEntry};
