//! The outputs: stale ones removed first, new ones written last, imagedefinitions.json the very last.

use super::{BuildPlan, failures};
use crate::artifact::archive::pack;
use crate::artifact::imagedefinitions::{Definitions, FILE_NAME};
use crate::artifact::outputs::{self, IMAGE_DETAIL, ImageRecord, OutputError};
use crate::artifact::store::put_artifact;
use crate::artifact::write::{WriteError, remove_stale as remove, write_atomically};
use crate::config::settings::{ArtifactTarget, Outputs};
use crate::failure::{Failure, Kind};
use crate::report::event::Event;
use crate::stage::Tools;
use std::path::{Path, PathBuf};

/// Removes what an earlier run wrote, so that nobody takes it for this run's: CodeBuild uploads artifacts even after
/// a build that failed.
pub(super) fn remove_stale(outputs: &Outputs) -> Result<(), Failure> {
    // imagedefinitions.json first: it is the one that a later stage would deploy.
    for (what, path) in outputs.files().into_iter().rev() {
        remove(path).map_err(|error| {
            Failure::new(Kind::Usage, format!("an old {what} is in the way"))
                .because(error)
                .left("nothing was built")
        })?;
    }
    Ok(())
}

/// One file to write.
struct Output<'a> {
    what: &'static str,
    path: &'a Path,
    text: String,
}

/// Writes every output and stores the artifact in S3, or leaves no file.
pub(super) async fn outputs(
    tools: &Tools,
    plan: &BuildPlan,
    records: &[ImageRecord],
) -> Result<Vec<PathBuf>, Failure> {
    let outputs = render(plan, records)?;
    let written = write_all(&outputs)
        .map_err(|(what, error)| failures::of_write(what, error).left(failures::left_pushed(records)))?;
    let stored = match &plan.outputs.artifact {
        Some(target) => Some(store(tools, target, &outputs, records).await.inspect_err(|_| {
            // Whatever finds the files would take the run for one that ended well.
            remove_all(&outputs);
        })?),
        None => None,
    };
    for output in &outputs {
        tools.tell.tell(Event::Wrote {
            what: output.what.to_owned(),
            place: output.path.display().to_string(),
        });
    }
    if let Some(place) = stored {
        tools.tell.tell(Event::Wrote {
            what: "the artifact".to_owned(),
            place,
        });
    }
    Ok(written)
}

/// Stores the artifact, and says where.
async fn store(
    tools: &Tools,
    target: &ArtifactTarget,
    outputs: &[Output<'_>],
    records: &[ImageRecord],
) -> Result<String, Failure> {
    let left = || failures::left_pushed(records);
    let files: Vec<(&str, &[u8])> = outputs
        .iter()
        .filter(|output| matches!(output.what, FILE_NAME | IMAGE_DETAIL))
        .map(|output| (output.what, output.text.as_bytes()))
        .collect();
    let zip = pack(&files).map_err(|error| {
        Failure::new(Kind::Bug, "the artifact could not be packed")
            .because(error)
            .left(left())
    })?;
    let aws = tools.aws.get().await?;
    put_artifact(&aws.s3, target, zip)
        .await
        .map_err(|error| failures::of_artifact(error, &left()))
}

/// Every text before any file, so that a text that cannot be made leaves no file.
fn render<'a>(plan: &'a BuildPlan, records: &[ImageRecord]) -> Result<Vec<Output<'a>>, Failure> {
    let refuse = |error: OutputError| {
        Failure::new(Kind::Usage, error.to_string()).left(failures::left_pushed(records))
    };
    let definitions = Definitions::of_pushed(
        records
            .iter()
            .map(|record| (&record.pushed, record.containers.as_slice())),
    )
    .map_err(|error| {
        Failure::new(
            Kind::Usage,
            "no imagedefinitions.json can be written for these images",
        )
        .because(error)
        .left(failures::left_pushed(records))
    })?;
    let wanted = &plan.outputs;
    let mut outputs = Vec::new();
    if let Some(path) = &wanted.metadata {
        outputs.push(("metadata", path, outputs::metadata(records)));
    }
    if let Some(path) = &wanted.env_file {
        outputs.push(("env file", path, outputs::env_file(records).map_err(refuse)?));
    }
    if let Some(path) = &wanted.image_detail {
        outputs.push((
            IMAGE_DETAIL,
            path,
            outputs::image_detail(records).map_err(refuse)?,
        ));
    }
    outputs.push((FILE_NAME, &wanted.imagedefinitions, definitions.to_json()));
    Ok(outputs
        .into_iter()
        .map(|(what, path, text)| Output { what, path, text })
        .collect())
}

/// Removes what was written, imagedefinitions.json first. The error that led here is the one to tell.
fn remove_all(outputs: &[Output<'_>]) {
    for written in outputs.iter().rev() {
        let _ = remove(written.path);
    }
}

/// Writes in order; if one cannot be written, those before it are removed again.
fn write_all(outputs: &[Output<'_>]) -> Result<Vec<PathBuf>, (&'static str, WriteError)> {
    for (number, output) in outputs.iter().enumerate() {
        if let Err(error) = write_atomically(output.path, output.text.as_bytes()) {
            remove_all(&outputs[..number]);
            return Err((output.what, error));
        }
    }
    Ok(outputs.iter().map(|output| output.path.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::{Output, write_all};
    use std::fs;

    #[test]
    fn outputs_are_written_all_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let output = |path, text: &str| Output {
            what: "it",
            path,
            text: text.to_owned(),
        };
        let outputs = [output(first.as_path(), "1"), output(second.as_path(), "2")];
        assert_eq!(write_all(&outputs).unwrap(), [first.clone(), second.clone()]);
        assert_eq!(fs::read(&second).unwrap(), b"2");
        fs::remove_file(&second).unwrap();
        fs::create_dir(&second).unwrap();
        assert_eq!(write_all(&outputs).unwrap_err().0, "it");
        assert!(!first.exists(), "the one that was written is gone again");
    }
}
