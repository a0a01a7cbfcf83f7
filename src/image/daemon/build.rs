//! Building an image through the Engine, with BuildKit or the classic builder.

use super::messages::of_build;
use super::{BuildRequest, BuiltImage, Engine, EngineError, auth_header};
use crate::config::settings::Builder;
use crate::image::endpoint::registry_auth;
use crate::image::files::{CHUNKS, Context, ContextError, Sent, survey};
use crate::image::session::{Offer, Session, SessionError};
use crate::image::source::{self, LABEL};
use crate::image::transcript::{BuildMessage, BuildTranscript, dockerfile::base_images};
use crate::name::{Digest, ImageRef};
use crate::report::event::{Event, Tell};
use crate::secret::redact::secret_arguments;
use crate::shutdown::{Shutdown, Urgency};
use bollard::errors::Error as DockerError;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion, TagImageOptions};
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

/// The Engine answers a build when its first message is ready, which can be after the whole context was read.
const BUILD_PATIENCE: Duration = Duration::from_secs(12 * 60 * 60);

/// How one attempt to build ended, other than well.
enum Ended {
    /// This Engine has no BuildKit.
    NoBuildKit,
    /// Something else.
    Failed(EngineError),
}

impl Engine {
    /// Builds an image and gives it its names. Winding down stops the build and leaves nothing: the Engine cancels a
    /// build when its request is dropped.
    ///
    /// # Errors
    /// [`EngineError`]; a failed step carries its name, its Dockerfile line where known, and its last lines.
    pub async fn build(
        &self,
        request: &BuildRequest,
        tell: &Tell,
        shutdown: &Shutdown,
    ) -> Result<BuiltImage, EngineError> {
        tokio::select! {
            built = Box::pin(self.build_to_end(request, tell)) => built,
            by = shutdown.reached(Urgency::WindDown) => Err(EngineError::Stopped { during: "build", by }),
        }
    }

    async fn build_to_end(&self, request: &BuildRequest, tell: &Tell) -> Result<BuiltImage, EngineError> {
        let (context, source) = look(request).await?;
        let mut request = request.clone();
        // What it says of itself must be true, so no setting wins over it.
        request.labels.insert(LABEL.to_owned(), source.to_string());
        let request = &request;
        let id = match request.image.builder {
            Builder::Classic => self.build_classic(request, &context, tell, true).await?,
            Builder::BuildKit => match self.build_with_buildkit(request, &context, tell).await {
                Ok(id) => id,
                Err(Ended::NoBuildKit) => return Err(EngineError::NoBuildKit),
                Err(Ended::Failed(error)) => return Err(error),
            },
            Builder::Auto if !self.has_buildkit => self.build_classic(request, &context, tell, false).await?,
            Builder::Auto => match self.build_with_buildkit(request, &context, tell).await {
                Ok(id) => id,
                Err(Ended::NoBuildKit) => self.build_classic(request, &context, tell, false).await?,
                Err(Ended::Failed(error)) => return Err(error),
            },
        };
        for name in request.names.iter().skip(1) {
            self.tag(&id, name).await?;
        }
        self.inspect(id, source).await
    }

    async fn build_with_buildkit(
        &self,
        request: &BuildRequest,
        context: &Context,
        tell: &Tell,
    ) -> Result<String, Ended> {
        let offer = Offer {
            auth: request.auth.clone(),
            env: self.env.clone(),
            secrets: request.image.secrets.clone(),
        };
        let session = Session::open(&self.wire, offer)
            .await
            .map_err(|error| match error {
                SessionError::Refused(400..=599) => Ended::NoBuildKit,
                error @ (SessionError::Ask(_) | SessionError::Refused(_) | SessionError::TakeOver(_)) => {
                    Ended::Failed(EngineError::OpenSession(error))
                }
            })?;
        let options = BuildImageOptions {
            version: BuilderVersion::BuilderBuildKit,
            session: Some(session.id().to_owned()),
            ..options(request, context)
        };
        self.run(request, context, options, None, tell).await
    }

    async fn build_classic(
        &self,
        request: &BuildRequest,
        context: &Context,
        tell: &Tell,
        asked: bool,
    ) -> Result<String, EngineError> {
        if !request.image.secrets.is_empty() {
            return Err(EngineError::SecretsNeedBuildKit { asked });
        }
        if !asked {
            tell.tell(Event::Note(
                "this Docker Engine has no BuildKit; its classic builder builds".to_owned(),
            ));
        }
        let auth = self.classic_auth(request, context).await?;
        let options = options(request, context);
        match self.run(request, context, options, auth, tell).await {
            Ok(id) => Ok(id),
            Err(Ended::Failed(error)) => Err(error),
            Err(Ended::NoBuildKit) => Err(EngineError::NoBuildKit),
        }
    }

    /// The classic builder cannot ask, so it is given the credentials of every registry that a `FROM` names.
    async fn classic_auth(
        &self,
        request: &BuildRequest,
        context: &Context,
    ) -> Result<Option<http::HeaderValue>, EngineError> {
        let mut all = serde_json::Map::new();
        for base in base_images(&context.dockerfile_text) {
            // What is no reference is a matter for the builder.
            let Ok(base) = base.parse::<ImageRef>() else {
                continue;
            };
            if request.auth.contains_key(base.host()) {
                continue;
            }
            let auth = registry_auth(&self.env, base.host())
                .await
                .map_err(EngineError::Locate)?;
            if let Some(auth) = auth {
                all.insert(auth.server.clone(), auth.document());
            }
        }
        for (host, auth) in &request.auth {
            all.insert(host.clone(), auth.document());
        }
        Ok(auth_header(&serde_json::Value::Object(all)))
    }

    /// Sends the context and folds the messages until the stream ends.
    async fn run(
        &self,
        request: &BuildRequest,
        context: &Context,
        options: BuildImageOptions,
        auth: Option<http::HeaderValue>,
        tell: &Tell,
    ) -> Result<String, Ended> {
        let wants_buildkit = options.version == BuilderVersion::BuilderBuildKit;
        let (chunks, body) = mpsc::channel(CHUNKS);
        let feeder = feed(context.clone(), chunks, request.image.name.clone(), tell.clone());
        let mut docker = self.docker.clone().with_timeout(BUILD_PATIENCE);
        if let Some(auth) = auth {
            docker = docker.with_request_modifier(move |mut request| {
                request.headers_mut().insert("X-Registry-Config", auth.clone());
                request
            });
        }
        let mut transcript = BuildTranscript::new(&request.image.name, &context.dockerfile_text)
            .hiding(secret_arguments(&request.image.args));
        let mut gone = None;
        {
            let body = bollard::body_try_stream(ReceiverStream::new(body));
            let mut messages = std::pin::pin!(docker.build_image(options, None, Some(body)));
            while let Some(message) = messages.next().await {
                let messages = match message {
                    Ok(info) => of_build(info),
                    Err(DockerError::DockerStreamError { error }) => vec![BuildMessage::Error(error)],
                    Err(DockerError::DockerResponseServerError { message, .. }) => {
                        if wants_buildkit && refuses_buildkit(&message) {
                            return Err(Ended::NoBuildKit);
                        }
                        vec![BuildMessage::Error(message)]
                    }
                    Err(error) => {
                        gone = Some(error);
                        break;
                    }
                };
                for event in messages.into_iter().flat_map(|message| transcript.fold(message)) {
                    tell.tell(event);
                }
            }
        }
        // The body is dropped here, so a feeder that still waits for room ends. What stopped it is the cause of
        // whatever the Engine made of a context that broke off.
        match feeder.await {
            Ok(Ok(_) | Err(ContextError::Cut)) | Err(_) => {}
            Ok(Err(error)) => return Err(Ended::Failed(EngineError::Context(error))),
        }
        // How a step ended that was under way when the Engine went away, nobody knows.
        if gone.is_none() {
            transcript.close().into_iter().for_each(|event| tell.tell(event));
        }
        match (transcript.finish(), gone) {
            (_, Some(error @ (DockerError::JsonDataError { .. } | DockerError::JsonSerdeError { .. }))) => {
                Err(Ended::Failed(EngineError::Garbled {
                    during: "build",
                    source: Box::new(error),
                }))
            }
            (_, Some(error)) => Err(Ended::Failed(EngineError::Gone {
                during: "build",
                source: Box::new(error),
            })),
            (Ok(id), None) => Ok(id),
            (Err(failure), None) => Err(Ended::Failed(EngineError::Build {
                image: request.image.name.clone(),
                failure: Box::new(failure),
            })),
        }
    }

    async fn tag(&self, id: &str, name: &ImageRef) -> Result<(), EngineError> {
        let options = TagImageOptions {
            repo: Some(name.name()),
            tag: name.tag.as_ref().map(ToString::to_string),
        };
        self.docker
            .tag_image(id, Some(options))
            .await
            .map_err(|source| EngineError::Tag {
                name: name.clone(),
                source: Box::new(source),
            })
    }

    async fn inspect(&self, id: String, source: Digest) -> Result<BuiltImage, EngineError> {
        let seen = self
            .docker
            .inspect_image(&id)
            .await
            .map_err(|source| EngineError::Inspect {
                id: id.clone(),
                source: Box::new(source),
            })?;
        let parts = [seen.os, seen.architecture, seen.variant];
        let parts: Vec<String> = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        Ok(BuiltImage {
            id,
            source,
            platform: parts.join("/"),
            size: seen
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or_default(),
        })
    }
}

/// Surveys the context on a thread that may block; gives the digest of all that the image is built from, too.
async fn look(request: &BuildRequest) -> Result<(Context, Digest), EngineError> {
    let (place, dockerfile) = (request.image.context.clone(), request.image.dockerfile.clone());
    let surveyed = tokio::task::spawn_blocking(move || {
        let mut context = survey(&place, &dockerfile)?;
        let digest = context.fingerprint()?;
        Ok((context, digest))
    });
    match surveyed.await {
        Ok(Ok((context, digest))) => Ok((
            context,
            source::of_build(&digest, &request.image, &request.labels),
        )),
        Ok(Err(error)) => Err(EngineError::Context(error)),
        // The thread is only lost when the runtime ends, and then nobody waits for this answer.
        Err(_) => Err(EngineError::Context(ContextError::Cut)),
    }
}

/// Streams the context on a thread that may block, and tells when all of it is sent.
fn feed(
    context: Context,
    chunks: mpsc::Sender<std::io::Result<bytes::Bytes>>,
    image: String,
    tell: Tell,
) -> JoinHandle<Result<Sent, ContextError>> {
    tokio::task::spawn_blocking(move || {
        let sent = context.stream(&chunks)?;
        tell.tell(Event::ContextSent {
            image,
            bytes: sent.bytes,
            entries: sent.entries,
        });
        Ok(sent)
    })
}

fn options(request: &BuildRequest, context: &Context) -> BuildImageOptions {
    let image = &request.image;
    BuildImageOptions {
        dockerfile: context.dockerfile_name.clone(),
        t: request.names.first().map(ToString::to_string),
        nocache: image.no_cache,
        pull: image.pull.then(|| "1".to_owned()),
        // The classic builder removes its containers, also those of a failed or cancelled build.
        rm: true,
        forcerm: true,
        buildargs: Some(image.args.clone().into_iter().collect()),
        labels: Some(request.labels.clone().into_iter().collect()),
        platform: image.platform.clone().unwrap_or_default(),
        target: image.target.clone().unwrap_or_default(),
        ..BuildImageOptions::default()
    }
}

/// An Engine without BuildKit says so when the build is asked for; only a text tells.
fn refuses_buildkit(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("buildkit") && (message.contains("not") || message.contains("unsupported"))
}

#[cfg(test)]
mod tests {
    use super::refuses_buildkit;

    #[test]
    fn only_a_refusal_of_buildkit_falls_back() {
        assert!(refuses_buildkit("buildkit is not supported on windows"));
        assert!(refuses_buildkit("BuildKit not enabled on daemon"));
        assert!(!refuses_buildkit(
            "dockerfile parse error line 1: unknown instruction"
        ));
    }
}
