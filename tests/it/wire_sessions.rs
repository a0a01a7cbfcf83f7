//! The sandbox's sessions over real sockets: what their keys open, for how long, and whose they are.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use crate::sandbox_support::{NOW, REGION, config, config_of, start, start_with};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_sdk_sts::types::AssumedRoleUser;
use slipway::sandbox::server::Sandbox;
use slipway::sandbox::world::sessions::{Keys, Scope, Session};
use std::time::Duration;

const JOB: &str = "arn:aws:sts::000000000000:assumed-role/pipeline/job-1";
const DEPLOYER: &str = "arn:aws:iam::111111111111:role/deployer";

/// A sandbox with a bucket that holds `in` and `secret`, and keys that read `in` and write `out` for 15 minutes.
async fn job() -> (Sandbox, Keys) {
    let sandbox = start("").await;
    let s3 = aws_sdk_s3::Client::new(&config(&sandbox, REGION));
    s3.create_bucket().bucket("artifacts").send().await.unwrap();
    for key in ["in", "secret"] {
        let body = ByteStream::from_static(b"source");
        s3.put_object()
            .bucket("artifacts")
            .key(key)
            .body(body)
            .send()
            .await
            .unwrap();
    }
    let object = |key: &str| vec![("artifacts".to_owned(), key.to_owned())];
    let keys = sandbox.world().visit(|world, now| {
        world.sessions.issue(
            now,
            Session {
                arn: JOB.to_owned(),
                scope: Scope::Artifacts {
                    read: object("in"),
                    write: object("out"),
                },
                ends: now + Duration::from_secs(900),
            },
        )
    });
    (sandbox, keys)
}

async fn get(s3: &aws_sdk_s3::Client, key: &str) -> Result<Vec<u8>, (String, String)> {
    let got = s3.get_object().bucket("artifacts").key(key).send().await;
    match got {
        Ok(got) => Ok(got.body.collect().await.unwrap().to_vec()),
        Err(error) => Err(words(&error)),
    }
}

fn words(error: &impl ProvideErrorMetadata) -> (String, String) {
    (
        error.code().unwrap_or_default().to_owned(),
        error.message().unwrap_or_default().to_owned(),
    )
}

fn denied(action: &str, resource: &str) -> (String, String) {
    let text = format!(
        "User: {JOB} is not authorized to perform: {action} on resource: \"arn:aws:s3:::{resource}\" because no session \
         policy allows the {action} action"
    );
    ("AccessDenied".to_owned(), text)
}

#[tokio::test]
async fn the_keys_of_a_job_open_its_artifacts_and_nothing_else() {
    let (sandbox, keys) = job().await;
    let config = config_of(&sandbox, REGION, &keys);
    let s3 = aws_sdk_s3::Client::new(&config);
    let bucket = "artifacts";
    assert_eq!(get(&s3, "in").await, Ok(b"source".to_vec()));
    let put = |key: &str| {
        s3.put_object()
            .bucket(bucket)
            .key(key)
            .body(ByteStream::from_static(b"made"))
    };
    put("out").send().await.unwrap();
    assert_eq!(get(&s3, "out").await, Ok(b"made".to_vec()));
    s3.head_object().bucket(bucket).key("out").send().await.unwrap();

    assert_eq!(
        get(&s3, "secret").await.unwrap_err(),
        denied("s3:GetObject", "artifacts/secret")
    );
    let refused = put("in").send().await.unwrap_err();
    assert_eq!(words(&refused), denied("s3:PutObject", "artifacts/in"));
    let refused = put("out").tagging("a=b").send().await.unwrap_err();
    assert_eq!(words(&refused), denied("s3:PutObjectTagging", "artifacts/out"));
    let refused = s3.list_objects_v2().bucket(bucket).send().await.unwrap_err();
    assert_eq!(words(&refused), denied("s3:ListBucket", "artifacts"));
    let refused = s3
        .delete_object()
        .bucket(bucket)
        .key("out")
        .send()
        .await
        .unwrap_err();
    assert_eq!(words(&refused), denied("s3:DeleteObject", "artifacts/out"));
    let acl = s3
        .put_object_acl()
        .bucket(bucket)
        .key("out")
        .acl("private".into());
    assert_eq!(
        words(&acl.send().await.unwrap_err()),
        denied("s3:PutObjectAcl", "artifacts/out")
    );
    let refused = s3.head_bucket().bucket(bucket).send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 403);
    let refused = aws_sdk_ecs::Client::new(&config)
        .list_clusters()
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        words(&refused),
        (
            "AccessDeniedException".to_owned(),
            format!(
                "User: {JOB} is not authorized to perform: ecs:ListClusters because no session policy allows the \
                 ecs:ListClusters action"
            )
        )
    );
    let identity = aws_sdk_sts::Client::new(&config).get_caller_identity();
    assert_eq!(identity.send().await.unwrap().arn(), Some(JOB));
    sandbox.stop().await;
}

#[tokio::test]
async fn a_missing_artifact_is_not_told_from_a_denied_one() {
    let (sandbox, keys) = job().await;
    let own = aws_sdk_s3::Client::new(&config(&sandbox, REGION));
    let s3 = aws_sdk_s3::Client::new(&config_of(&sandbox, REGION, &keys));
    own.delete_object()
        .bucket("artifacts")
        .key("in")
        .send()
        .await
        .unwrap();
    assert_eq!(get(&own, "in").await.unwrap_err().0, "NoSuchKey");
    assert_eq!(
        get(&s3, "in").await.unwrap_err(),
        denied("s3:ListBucket", "artifacts")
    );
    sandbox.stop().await;
}

#[tokio::test]
async fn the_keys_of_a_job_upload_in_parts_and_abort() {
    let (sandbox, keys) = job().await;
    let s3 = aws_sdk_s3::Client::new(&config_of(&sandbox, REGION, &keys));
    let own = aws_sdk_s3::Client::new(&config(&sandbox, REGION));
    let begin = |key: &str| s3.create_multipart_upload().bucket("artifacts").key(key);
    let refused = begin("in").send().await.unwrap_err();
    assert_eq!(words(&refused), denied("s3:PutObject", "artifacts/in"));
    let mut ids = Vec::new();
    for _ in 0..2 {
        let begun = begin("out").send().await.unwrap();
        ids.push(begun.upload_id().unwrap().to_owned());
    }
    let part = s3
        .upload_part()
        .bucket("artifacts")
        .key("out")
        .upload_id(&ids[0])
        .part_number(1)
        .body(ByteStream::from_static(b"made"))
        .send()
        .await
        .unwrap();
    let part = CompletedPart::builder()
        .part_number(1)
        .e_tag(part.e_tag().unwrap())
        .build();
    s3.complete_multipart_upload()
        .bucket("artifacts")
        .key("out")
        .upload_id(&ids[0])
        .multipart_upload(CompletedMultipartUpload::builder().parts(part).build())
        .send()
        .await
        .unwrap();
    assert_eq!(get(&s3, "out").await, Ok(b"made".to_vec()));
    let list = || async {
        let listed = own
            .list_multipart_uploads()
            .bucket("artifacts")
            .send()
            .await
            .unwrap();
        let ids = listed.uploads().iter().filter_map(|upload| upload.upload_id());
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list().await, ids[1..]);
    s3.abort_multipart_upload()
        .bucket("artifacts")
        .key("out")
        .upload_id(&ids[1])
        .send()
        .await
        .unwrap();
    assert_eq!(list().await, Vec::<String>::new());
    sandbox.stop().await;
}

#[tokio::test]
async fn keys_that_ended_or_came_with_another_token_open_nothing() {
    let (sandbox, keys) = job().await;
    let without = Keys {
        session_token: String::new(),
        ..keys.clone()
    };
    let wrong = Keys {
        session_token: "another".into(),
        ..keys.clone()
    };
    for (keys, s3_code, ecs_code, sts_code) in [
        (
            &without,
            "InvalidAccessKeyId",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
        ),
        (
            &wrong,
            "InvalidToken",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
        ),
        (&keys, "ExpiredToken", "ExpiredTokenException", "ExpiredToken"),
    ] {
        if s3_code == "ExpiredToken" {
            sandbox.world().visit(|world, _| world.sessions.end_all(NOW));
        }
        let config = config_of(&sandbox, REGION, keys);
        let s3 = aws_sdk_s3::Client::new(&config);
        assert_eq!(get(&s3, "in").await.unwrap_err().0, s3_code);
        let ecs = aws_sdk_ecs::Client::new(&config).list_clusters().send().await;
        assert_eq!(words(&ecs.unwrap_err()).0, ecs_code);
        let sts = aws_sdk_sts::Client::new(&config)
            .get_caller_identity()
            .send()
            .await;
        assert_eq!(words(&sts.unwrap_err()).0, sts_code);
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_role_is_assumed_with_its_external_id_and_the_journal_tells_whose_a_request_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let scenario = format!("[[role]]\narn = \"{DEPLOYER}\"\nexternal-id = \"ours\"");
    let sandbox = start_with(&scenario, Some(path.clone())).await;
    let sts = aws_sdk_sts::Client::new(&config(&sandbox, REGION));
    let assume = || sts.assume_role().role_arn(DEPLOYER).role_session_name("slipway");
    let refused = assume().send().await.unwrap_err();
    assert_eq!(
        words(&refused),
        (
            "AccessDenied".to_owned(),
            format!(
                "User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: sts:AssumeRole on resource: \
                 {DEPLOYER}"
            )
        )
    );
    let assumed = assume().external_id("ours").send().await.unwrap();
    let given = assumed.credentials().unwrap();
    let ends = given.expiration().secs();
    assert_eq!(ends, i64::try_from(NOW.as_secs()).unwrap() + 3600);
    let keys = Keys {
        access_key_id: given.access_key_id().to_owned(),
        secret_access_key: given.secret_access_key().to_owned(),
        session_token: given.session_token().to_owned(),
    };
    let config = config_of(&sandbox, REGION, &keys);
    aws_sdk_ecs::Client::new(&config)
        .list_clusters()
        .send()
        .await
        .unwrap();
    let identity = aws_sdk_sts::Client::new(&config).get_caller_identity();
    let identity = identity.send().await.unwrap();
    let arn = "arn:aws:sts::111111111111:assumed-role/deployer/slipway";
    assert_eq!(
        (identity.arn(), identity.account()),
        (Some(arn), Some("111111111111"))
    );
    assert_eq!(
        identity.user_id(),
        assumed.assumed_role_user().map(AssumedRoleUser::assumed_role_id)
    );
    sandbox.stop().await;
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains(&keys.secret_access_key) && !text.contains(&keys.session_token));
    let principals: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["principal"].to_string())
        .collect();
    let (own, theirs) = ("\"account\"".to_owned(), format!("\"{arn}\""));
    assert_eq!(principals, [own.clone(), own, theirs.clone(), theirs]);
}
