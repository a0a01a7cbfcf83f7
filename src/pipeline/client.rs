//! CodePipeline's job API, its answers turned into our own types.
