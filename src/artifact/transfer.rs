//! Artifacts from and to S3, streamed, verified, and encrypted as CodePipeline demands.
