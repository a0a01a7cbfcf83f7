//! Registering, listing and deleting custom action types.
