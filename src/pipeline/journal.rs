//! What a worker holds, on disk, so that whoever comes after it can close what it left.
