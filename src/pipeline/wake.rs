//! A queue that says that there may be work, fed by EventBridge.
