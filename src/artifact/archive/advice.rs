//! What to do about artifacts that cannot be read, in words that reading one file and unpacking all share.

/// For a reference to a commit.
pub const CLONE_REFERENCE: &str =
    "set the source action's `OutputArtifactFormat` to `CODE_ZIP`, or build in CodeBuild";

/// For an archive that nobody reads here.
pub const OTHER_ARCHIVE: &str = "pack it as a zip: CodePipeline's own actions read nothing else";
