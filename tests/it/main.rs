//! One test binary for everything that crosses a module border.
mod dependencies;

mod deploy;
mod ecs_adapter;
mod responder;
