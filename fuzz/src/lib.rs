//! The modules under test, mounted at the paths that they have in slipway, without the rest: the AWS clients alone would
//! take minutes to compile.

#![allow(dead_code, reason = "what is mounted is used by more than is here")]

#[path = "../../src/artifact"]
pub mod artifact {
    pub mod archive;
    pub mod imagedefinitions;
    pub mod unpack;
}

#[path = "../../src/config"]
pub mod config {
    pub mod settings;
}

#[path = "../../src/ecs"]
pub mod ecs {
    pub mod answers;
    pub mod observation;
    pub mod resume;
    pub mod rollout;
}

#[path = "../../src/pipeline"]
pub mod pipeline {
    pub mod result;
    pub mod token;
}

#[path = "../../src/failure/mod.rs"]
pub mod failure;
#[path = "../../src/name/mod.rs"]
pub mod name;
#[path = "../../src/secret/mod.rs"]
pub mod secret;
