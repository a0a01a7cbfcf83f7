//! The records of a zip, as APPNOTE 6.3.10 has them.
//!
//! `records` reads and writes single ones from and to bytes, `directory` walks through those of a file, and `writer` makes
//! a zip. Where two readers of a zip could see different things, it is refused.

mod directory;
mod records;
mod writer;

pub use directory::{Data, Directory, Inflater, ZipFault, open_data};
pub use records::{Central, MethodOf};
pub use writer::{WriteFault, Writer, ZipEntry};
