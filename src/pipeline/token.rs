//! The continuation token of a deploy: all that another worker needs to go on.
