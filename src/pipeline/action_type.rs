//! The action types that slipway registers: what a pipeline may configure, and when a definition needs a new version.
