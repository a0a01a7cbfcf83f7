//! The sandbox's S3 over real sockets, asked by the official SDK.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use crate::sandbox_support::{REGION, config, start};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, ServerSideEncryption};
use slipway::sandbox::server::Sandbox;

async fn bucket() -> (Sandbox, Client) {
    let sandbox = start("").await;
    let s3 = Client::new(&config(&sandbox, REGION));
    s3.create_bucket().bucket("artifacts").send().await.unwrap();
    (sandbox, s3)
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let (sandbox, s3) = bucket().await;
    let put = s3
        .put_object()
        .bucket("artifacts")
        .key("a/b c")
        .content_type("text/plain")
        .metadata("commit", "abc")
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .ssekms_key_id("arn:aws:kms:eu-west-1:000000000000:key/1")
        .body(ByteStream::from_static(b"hello world"))
        .send()
        .await
        .unwrap();
    assert_eq!(put.e_tag(), Some("\"5eb63bbbe01eeed093cb22bb8f5acdc3\""));
    assert_eq!(
        put.checksum_crc32(),
        Some("DUoRhQ=="),
        "the SDK's default checksum"
    );

    let head = s3
        .head_object()
        .bucket("artifacts")
        .key("a/b c")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), Some(11));
    assert_eq!(head.server_side_encryption(), Some(&ServerSideEncryption::AwsKms));
    assert_eq!(
        head.ssekms_key_id(),
        Some("arn:aws:kms:eu-west-1:000000000000:key/1")
    );
    assert_eq!(head.metadata().unwrap()["commit"], "abc");

    let got = s3
        .get_object()
        .bucket("artifacts")
        .key("a/b c")
        .send()
        .await
        .unwrap();
    assert_eq!(
        &got.body.collect().await.unwrap().into_bytes()[..],
        b"hello world"
    );
    let part = s3
        .get_object()
        .bucket("artifacts")
        .key("a/b c")
        .range("bytes=6-")
        .send()
        .await
        .unwrap();
    assert_eq!(part.content_range(), Some("bytes 6-10/11"));
    assert_eq!(&part.body.collect().await.unwrap().into_bytes()[..], b"world");
    sandbox.stop().await;
}

#[tokio::test]
async fn what_is_missing_or_damaged_is_named() {
    let (sandbox, s3) = bucket().await;
    let missing = s3
        .get_object()
        .bucket("artifacts")
        .key("no")
        .send()
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Some("NoSuchKey"));
    let missing = s3.list_objects_v2().bucket("nobody").send().await.unwrap_err();
    assert_eq!(missing.code(), Some("NoSuchBucket"));
    let damaged = s3
        .put_object()
        .bucket("artifacts")
        .key("k")
        .checksum_crc32("AAAAAA==")
        .body(ByteStream::from_static(b"hello"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(damaged.code(), Some("BadDigest"));
    sandbox.stop().await;
}

#[tokio::test]
async fn a_bucket_can_demand_kms() {
    let (sandbox, s3) = bucket().await;
    let policy = r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Condition":
        {"StringNotEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}}}]}"#;
    s3.put_bucket_policy()
        .bucket("artifacts")
        .policy(policy)
        .send()
        .await
        .unwrap();
    let put = || {
        s3.put_object()
            .bucket("artifacts")
            .key("k")
            .body(ByteStream::from_static(b"x"))
    };
    assert_eq!(put().send().await.unwrap_err().code(), Some("AccessDenied"));
    put()
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .send()
        .await
        .unwrap();
    sandbox.stop().await;
}

#[tokio::test]
async fn parts_join_and_a_small_one_in_between_is_refused() {
    let (sandbox, s3) = bucket().await;
    let upload = s3
        .create_multipart_upload()
        .bucket("artifacts")
        .key("big")
        .send()
        .await
        .unwrap();
    let id = upload.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, size) in [(1, 5 * 1024 * 1024), (2, 10), (3, 7)] {
        let body = ByteStream::from(vec![b'x'; size]);
        let put = s3
            .upload_part()
            .bucket("artifacts")
            .key("big")
            .upload_id(id)
            .part_number(number)
            .body(body);
        let etag = put.send().await.unwrap().e_tag.unwrap();
        parts.push(CompletedPart::builder().part_number(number).e_tag(etag).build());
    }
    let complete = |parts: &[CompletedPart]| {
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(parts.to_vec()))
            .build();
        s3.complete_multipart_upload()
            .bucket("artifacts")
            .key("big")
            .upload_id(id)
            .multipart_upload(parts)
            .send()
    };
    assert_eq!(complete(&parts).await.unwrap_err().code(), Some("EntityTooSmall"));
    let swapped = [parts[1].clone(), parts[0].clone()];
    assert_eq!(
        complete(&swapped).await.unwrap_err().code(),
        Some("InvalidPartOrder")
    );
    let done = complete(&parts[..2]).await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""));
    let head = s3
        .head_object()
        .bucket("artifacts")
        .key("big")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), Some(5 * 1024 * 1024 + 10));
    assert_eq!(
        complete(&parts[..2]).await.unwrap_err().code(),
        Some("NoSuchUpload")
    );
    sandbox.stop().await;
}

#[tokio::test]
async fn a_listing_pages_through_keys_and_prefixes() {
    let (sandbox, s3) = bucket().await;
    for key in ["a", "b/1", "b/2", "c&d"] {
        s3.put_object().bucket("artifacts").key(key).send().await.unwrap();
    }
    let list = || {
        s3.list_objects_v2()
            .bucket("artifacts")
            .delimiter("/")
            .max_keys(2)
    };
    let first = list().send().await.unwrap();
    assert_eq!(first.contents()[0].key(), Some("a"));
    assert_eq!(first.common_prefixes()[0].prefix(), Some("b/"));
    let token = first.next_continuation_token().unwrap();
    let second = list().continuation_token(token).send().await.unwrap();
    assert_eq!(second.contents()[0].key(), Some("c&d"));
    assert_eq!(second.is_truncated(), Some(false));
    sandbox.stop().await;
}
