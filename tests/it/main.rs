//! One test binary for everything that crosses a module border.
mod dependencies;

mod ecs_adapter;
