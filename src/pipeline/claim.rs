//! A job that was acknowledged: a value that must be consumed, by success, by failure or by handing it back.
