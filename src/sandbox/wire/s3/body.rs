//! A body on its way into S3: taken out of its encoding, stored, and compared with what its headers say of it.

use super::super::Site;
use super::super::checksum::{Crc, Kind};
use super::super::exchange::Head;
use super::super::spool::{Received, hex};
use super::chunked::{Decoder, Malformed};
use crate::sandbox::journal;
use crate::sandbox::world::error::ApiError;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use std::collections::BTreeMap;

/// A body that is stored and was what its headers say.
#[derive(Debug)]
pub struct Stored {
    /// The file and its hashes.
    pub received: Received,
    /// The checksum's header and its base64 value.
    pub checksum: (String, String),
}

/// Receives a body.
///
/// # Errors
/// `BadDigest`, `InvalidDigest`, `XAmzContentSHA256Mismatch`, `IncompleteBody`, and what a broken encoding is.
pub async fn receive(
    site: &Site,
    head: &Head,
    body: Body,
    noted: &mut journal::Body,
) -> Result<Stored, ApiError> {
    let name = checksum_name(head)?;
    let (received, trailers) = store(site, head, body, crc_of(&name)).await?;
    *noted = journal::Body::Binary {
        bytes: received.bytes,
        sha256: Some(hex(&received.sha256)),
    };
    let own = STANDARD.encode(received.crc.as_deref().unwrap_or(&received.sha256));
    match compare(head, &name, &own, &received, &trailers) {
        Ok(()) => Ok(Stored {
            received,
            checksum: (name, own),
        }),
        Err(refusal) => {
            site.spool.discard(&received.file).await;
            Err(refusal)
        }
    }
}

/// The checksum header that the request brings, in its head or as a trailer; S3's own default otherwise.
fn checksum_name(head: &Head) -> Result<String, ApiError> {
    const NAMES: &[&str] = &[
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc32c",
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-sha256",
    ];
    let announced = head.header("x-amz-trailer").map(str::to_ascii_lowercase);
    if let Some(name) = announced.as_deref().filter(|name| !NAMES.contains(name)) {
        return Err(ApiError::new(
            "NotImplemented",
            format!("the sandbox does not know the trailer {name}"),
        )
        .status(501));
    }
    if head.header("x-amz-checksum-sha1").is_some() {
        return Err(ApiError::new("NotImplemented", "the sandbox does not compute SHA-1").status(501));
    }
    let named = NAMES
        .iter()
        .find(|name| head.header(name).is_some())
        .map(|name| (*name).to_owned());
    Ok(announced
        .or(named)
        .unwrap_or_else(|| "x-amz-checksum-crc64nvme".to_owned()))
}

pub(super) fn crc_of(name: &str) -> Option<Crc> {
    match name {
        "x-amz-checksum-crc32" => Some(Crc::new(Kind::Crc32)),
        "x-amz-checksum-crc32c" => Some(Crc::new(Kind::Crc32c)),
        "x-amz-checksum-sha256" => None,
        _ => Some(Crc::new(Kind::Crc64Nvme)),
    }
}

type Trailers = BTreeMap<String, String>;

async fn store(
    site: &Site,
    head: &Head,
    body: Body,
    crc: Option<Crc>,
) -> Result<(Received, Trailers), ApiError> {
    let encoded = head
        .header("x-amz-content-sha256")
        .is_some_and(|value| value.starts_with("STREAMING-"))
        || head
            .header("content-encoding")
            .is_some_and(|value| value.contains("aws-chunked"));
    let mut decoder = encoded.then(Decoder::default);
    let mut body = body.into_data_stream();
    let mut writer = site.spool.writer(crc).await.map_err(|_| internal())?;
    let name = writer.name().to_owned();
    let mut problem = None;
    while let Some(piece) = body.next().await {
        let Ok(piece) = piece else {
            problem = Some(incomplete());
            break;
        };
        let stretches = match &mut decoder {
            None => Ok(vec![&piece[..]]),
            Some(decoder) => decoder.feed(&piece),
        };
        let Ok(stretches) = stretches else {
            problem = Some(malformed());
            break;
        };
        for stretch in stretches {
            if writer.write(stretch).await.is_err() {
                problem = Some(internal());
            }
        }
    }
    let trailers = decoder.map_or(Ok(Trailers::new()), Decoder::finish);
    match (problem, trailers) {
        (None, Ok(trailers)) => Ok((writer.finish().await.map_err(|_| internal())?, trailers)),
        (Some(problem), _) => {
            site.spool.discard(&name).await;
            Err(problem)
        }
        (None, Err(Malformed)) => {
            site.spool.discard(&name).await;
            Err(incomplete())
        }
    }
}

fn compare(
    head: &Head,
    name: &str,
    own: &str,
    received: &Received,
    trailers: &Trailers,
) -> Result<(), ApiError> {
    let length = head
        .header("x-amz-decoded-content-length")
        .and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length != received.bytes) {
        return Err(incomplete());
    }
    let claimed = trailers
        .get(name)
        .map(String::as_str)
        .or_else(|| head.header(name));
    if claimed.is_some_and(|claimed| claimed != own) {
        let algorithm = name.trim_start_matches("x-amz-checksum-").to_ascii_uppercase();
        let text = format!("The {algorithm} you specified did not match the calculated checksum.");
        return Err(ApiError::new("BadDigest", text));
    }
    if let Some(md5) = head.header("content-md5") {
        match STANDARD.decode(md5) {
            Ok(bytes) if bytes == received.md5 => {}
            Ok(bytes) if bytes.len() == 16 => {
                let text = "The Content-MD5 you specified did not match what we received.";
                return Err(ApiError::new("BadDigest", text));
            }
            Ok(_) | Err(_) => {
                return Err(ApiError::new(
                    "InvalidDigest",
                    "The Content-MD5 you specified is not valid.",
                ));
            }
        }
    }
    let signed = head
        .header("x-amz-content-sha256")
        .filter(|value| value.len() == 64);
    if signed.is_some_and(|signed| signed != hex(&received.sha256)) {
        let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Err(ApiError::new("XAmzContentSHA256Mismatch", text));
    }
    Ok(())
}

fn incomplete() -> ApiError {
    let text = "You did not provide the number of bytes specified by the Content-Length HTTP header";
    ApiError::new("IncompleteBody", text)
}

fn malformed() -> ApiError {
    ApiError::new("InvalidRequest", "the aws-chunked encoding of the body is broken")
}

pub(super) fn internal() -> ApiError {
    ApiError::new(
        "InternalError",
        "We encountered an internal error. Please try again.",
    )
    .status(500)
}
