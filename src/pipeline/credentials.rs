//! The credentials that a job brings for its artifacts, renewed before they end.
