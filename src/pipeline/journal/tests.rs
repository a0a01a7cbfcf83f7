//! What an entry says, and who gets it.
