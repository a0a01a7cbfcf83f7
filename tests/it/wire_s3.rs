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
    let refused = put().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("AccessDenied"));
    assert_eq!(
        refused.message(),
        Some(
            "User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: s3:PutObject on resource: \
             \"arn:aws:s3:::artifacts/k\" with an explicit deny in a resource-based policy"
        )
    );
    let begin = || s3.create_multipart_upload().bucket("artifacts").key("k");
    assert_eq!(begin().send().await.unwrap_err().code(), Some("AccessDenied"));
    put()
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .send()
        .await
        .unwrap();
    begin()
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .send()
        .await
        .unwrap();
    sandbox.stop().await;
}

#[tokio::test]
async fn a_bucket_can_demand_a_key_and_every_answer_tells_the_key() {
    let (sandbox, s3) = bucket().await;
    let key = "arn:aws:kms:eu-west-1:000000000000:key/1";
    let policy = format!(
        r#"{{"Statement":[{{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Condition":
        {{"StringNotEquals":{{"s3:x-amz-server-side-encryption-aws-kms-key-id":"{key}"}}}}}}]}}"#
    );
    s3.put_bucket_policy()
        .bucket("artifacts")
        .policy(policy)
        .send()
        .await
        .unwrap();
    let begin = || {
        s3.create_multipart_upload()
            .bucket("artifacts")
            .key("out")
            .server_side_encryption(ServerSideEncryption::AwsKms)
    };
    assert_eq!(begin().send().await.unwrap_err().code(), Some("AccessDenied"));
    let other = begin().ssekms_key_id("arn:aws:kms:eu-west-1:000000000000:key/2");
    assert_eq!(other.send().await.unwrap_err().code(), Some("AccessDenied"));
    let begun = begin().ssekms_key_id(key).send().await.unwrap();
    assert_eq!(begun.ssekms_key_id(), Some(key));
    let id = begun.upload_id().unwrap();
    let part = || {
        s3.upload_part()
            .bucket("artifacts")
            .key("out")
            .upload_id(id)
            .part_number(1)
            .body(ByteStream::from_static(b"made"))
    };
    let refused = part()
        .customize()
        .mutate_request(|request| {
            request
                .headers_mut()
                .insert("x-amz-server-side-encryption", "aws:kms");
        })
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("InvalidArgument"));
    assert_eq!(
        refused.message(),
        Some("x-amz-server-side-encryption header is not supported for this operation.")
    );
    let put = part().send().await.unwrap();
    assert_eq!(put.ssekms_key_id(), Some(key));
    let part = CompletedPart::builder()
        .part_number(1)
        .e_tag(put.e_tag().unwrap())
        .build();
    let done = s3
        .complete_multipart_upload()
        .bucket("artifacts")
        .key("out")
        .upload_id(id)
        .multipart_upload(CompletedMultipartUpload::builder().parts(part).build())
        .send()
        .await
        .unwrap();
    assert_eq!(done.ssekms_key_id(), Some(key));
    let head = s3
        .head_object()
        .bucket("artifacts")
        .key("out")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.server_side_encryption(), head.ssekms_key_id()),
        (Some(&ServerSideEncryption::AwsKms), Some(key))
    );
    sandbox.stop().await;
}

#[tokio::test]
async fn uploads_under_way_are_listed_page_by_page() {
    let (sandbox, s3) = bucket().await;
    for key in ["b", "a", "a", "other"] {
        s3.create_multipart_upload()
            .bucket("artifacts")
            .key(key)
            .send()
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    let mut pages = 0;
    let (mut key, mut id) = (None, None);
    loop {
        let page = s3
            .list_multipart_uploads()
            .bucket("artifacts")
            .max_uploads(2)
            .set_key_marker(key)
            .set_upload_id_marker(id)
            .send()
            .await
            .unwrap();
        seen.extend(page.uploads().iter().map(|one| one.key().unwrap().to_owned()));
        pages += 1;
        key = page.next_key_marker().map(str::to_owned);
        id = page.next_upload_id_marker().map(str::to_owned);
        if page.is_truncated() != Some(true) {
            break;
        }
    }
    assert_eq!(
        (seen, pages),
        (["a", "a", "b", "other"].map(str::to_owned).to_vec(), 2)
    );
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
