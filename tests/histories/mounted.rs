//! The modules that the histories need, mounted at the paths that they have in slipway, without the rest: optimised, the
//! whole of it takes minutes to compile.

#![allow(dead_code, reason = "what is mounted is used by more than is here")]

#[path = "../../src/config"]
pub mod config {
    pub mod settings;
}

#[path = "../../src/ecs"]
pub mod ecs {
    pub mod answers;
    pub mod observation;
    pub mod rollout;
}

#[path = "../../src/sandbox"]
pub mod sandbox {
    pub mod world;
    pub use world::ACCOUNT;
}

#[path = "../../src/clock.rs"]
pub mod clock;
#[path = "../../src/failure/mod.rs"]
pub mod failure;
#[path = "../../src/name/mod.rs"]
pub mod name;
#[path = "../../src/secret/mod.rs"]
pub mod secret;
#[path = "../../src/shutdown.rs"]
pub mod shutdown;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
