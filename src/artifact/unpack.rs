//! Unpacking an artifact that nobody vouches for: every entry is checked before it touches the disk.
