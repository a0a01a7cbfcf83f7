//! Small blobs by the addresses that ECR gives for them, which need no credentials but what they hold themselves.

use crate::name::Digest;
use aws_smithy_http_client::default_connector;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::byte_stream::error::Error as StreamError;
use std::time::Duration;

/// An image's config has a line for each of its layers; one that is larger than this is something else.
const MOST: usize = 4 * 1024 * 1024;

/// How often a download is begun: S3 answers the next request when it did not answer one.
const ATTEMPTS: u32 = 3;

/// How long a whole download may take; what is this small comes in a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a blob could not be had. No variant shows its address, which is as good as a credential.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// There is no TLS to connect with.
    #[error("no HTTP client can be made")]
    NoClient,
    /// ECR's address cannot be asked.
    #[error("the address that ECR gives is no URL")]
    Address,
    /// No connection, or none that lasted.
    #[error("the connection failed")]
    Connection(#[source] ConnectorError),
    /// The answer broke off.
    #[error("the answer broke off")]
    Cut(#[source] StreamError),
    /// No answer within the time.
    #[error("no answer came within {} s", PATIENCE.as_secs())]
    Silent,
    /// Something else than the blob was answered.
    #[error("the answer is HTTP {0}")]
    Status(u16),
    /// It is too large.
    #[error("it is larger than {} MiB", MOST / 1024 / 1024)]
    TooLarge,
    /// What came is not what was asked for.
    #[error("what came has another digest")]
    OtherDigest,
}

impl DownloadError {
    /// Whether the same request may be answered a moment later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Cut(_) | Self::Silent | Self::OtherDigest => true,
            Self::Status(status) => *status >= 500 || *status == 429,
            Self::NoClient | Self::Address | Self::TooLarge => false,
        }
    }
}

/// Downloads a blob, again if that may help, and proves that it is the one.
pub(super) async fn download(url: &str, digest: &Digest) -> Result<Vec<u8>, DownloadError> {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(Duration::from_secs(5))
        .build();
    let connector = default_connector(&settings, None).ok_or(DownloadError::NoClient)?;
    let mut attempts = 1;
    loop {
        let got = tokio::time::timeout(PATIENCE, fetch(&connector, url))
            .await
            .unwrap_or(Err(DownloadError::Silent));
        let got = got.and_then(|bytes| {
            (Digest::of(&bytes) == *digest)
                .then_some(bytes)
                .ok_or(DownloadError::OtherDigest)
        });
        match got {
            Err(error) if error.may_pass() && attempts < ATTEMPTS => attempts += 1,
            got => return got,
        }
    }
}

async fn fetch(connector: &SharedHttpConnector, url: &str) -> Result<Vec<u8>, DownloadError> {
    let request = HttpRequest::get(url).map_err(|_| DownloadError::Address)?;
    let answer = connector.call(request).await.map_err(DownloadError::Connection)?;
    if !answer.status().is_success() {
        return Err(DownloadError::Status(answer.status().as_u16()));
    }
    let mut body = ByteStream::new(answer.into_body());
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(DownloadError::Cut)?;
        if all.len() + chunk.len() > MOST {
            return Err(DownloadError::TooLarge);
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}
