//! The sandbox's APIs over real sockets, asked by the official SDK.

use crate::sandbox_support::{REGION, config, start, start_with};
use aws_sdk_ecr::error::ProvideErrorMetadata;

#[tokio::test]
async fn each_service_answers_in_its_own_protocol() {
    let sandbox = start("").await;
    let config = config(&sandbox, REGION);
    let identity = aws_sdk_sts::Client::new(&config)
        .get_caller_identity()
        .send()
        .await
        .unwrap();
    assert_eq!(identity.account(), Some("000000000000"));

    let ecr = aws_sdk_ecr::Client::new(&config);
    let made = ecr
        .create_repository()
        .repository_name("shop/web")
        .send()
        .await
        .unwrap();
    let host = sandbox.endpoint().trim_start_matches("http://");
    assert_eq!(
        made.repository().unwrap().repository_uri(),
        Some(format!("{host}/shop/web").as_str())
    );
    let missing = ecr
        .describe_images()
        .repository_name("no")
        .send()
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Some("RepositoryNotFoundException"));

    let ecs = aws_sdk_ecs::Client::new(&config);
    ecs.create_cluster().cluster_name("prod").send().await.unwrap();
    let seen = ecs.describe_clusters().clusters("prod").send().await.unwrap();
    assert_eq!(seen.clusters()[0].status(), Some("ACTIVE"));

    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&config);
    assert!(
        elb.describe_target_groups()
            .send()
            .await
            .unwrap()
            .target_groups()
            .is_empty()
    );

    let logs = aws_sdk_cloudwatchlogs::Client::new(&config);
    let missing = logs
        .get_log_events()
        .log_group_name("/g")
        .log_stream_name("s")
        .send()
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Some("ResourceNotFoundException"));
    sandbox.stop().await;
}

#[tokio::test]
async fn an_unknown_operation_is_refused_by_name() {
    let sandbox = start("").await;
    let ecs = aws_sdk_ecs::Client::new(&config(&sandbox, REGION));
    let refused = ecs
        .list_attributes()
        .target_type("container-instance".into())
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("UnknownOperationException"));
    assert!(refused.message().unwrap().contains("ListAttributes"));
    sandbox.stop().await;
}

#[tokio::test]
async fn a_wrong_region_is_refused_as_each_service_refuses_it() {
    let sandbox = start("").await;
    let config = config(&sandbox, "us-east-1");
    let ecr = aws_sdk_ecr::Client::new(&config)
        .describe_repositories()
        .send()
        .await
        .unwrap_err();
    assert_eq!(ecr.code(), Some("InvalidSignatureException"));
    let s3 = aws_sdk_s3::Client::new(&config)
        .list_buckets()
        .send()
        .await
        .unwrap_err();
    assert_eq!(s3.code(), Some("AuthorizationHeaderMalformed"));
    sandbox.stop().await;
}

#[tokio::test]
async fn a_lost_answer_had_its_effect_and_a_refused_connection_had_none() {
    let scenario = "[[fault]]\nservice = \"ecr\"\noperation = \"CreateRepository\"\nnth = 1\naction = \"lost-answer\"\n\
                    [[fault]]\nservice = \"ecr\"\noperation = \"CreateRepository\"\nnth = 2\naction = \"refuse\"\n\
                    [[fault]]\nservice = \"ecr\"\noperation = \"ListImages\"\naction = \"throttle\"\n\
                    [[fault]]\nservice = \"sts\"\naction = \"expired-token\"";
    let sandbox = start(scenario).await;
    let config = config(&sandbox, REGION);
    let ecr = aws_sdk_ecr::Client::new(&config);
    for name in ["lost", "refused"] {
        let error = ecr
            .create_repository()
            .repository_name(name)
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.code(), None, "no answer came for {name}");
    }
    let there = ecr.describe_repositories().send().await.unwrap();
    let names: Vec<_> = there
        .repositories()
        .iter()
        .filter_map(|one| one.repository_name())
        .collect();
    assert_eq!(names, ["lost"]);
    let throttled = ecr
        .list_images()
        .repository_name("lost")
        .send()
        .await
        .unwrap_err();
    assert_eq!(throttled.code(), Some("ThrottlingException"));
    let expired = aws_sdk_sts::Client::new(&config)
        .get_caller_identity()
        .send()
        .await
        .unwrap_err();
    assert_eq!(expired.code(), Some("ExpiredToken"));
    sandbox.stop().await;
}

#[tokio::test]
async fn the_journal_has_a_line_per_request_and_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let sandbox = start_with("", Some(path.clone())).await;
    let ecr = aws_sdk_ecr::Client::new(&config(&sandbox, REGION));
    let answer = ecr.get_authorization_token().send().await.unwrap();
    let token = answer.authorization_data()[0]
        .authorization_token()
        .unwrap()
        .to_owned();
    sandbox.stop().await;
    let text = std::fs::read_to_string(path).unwrap();
    assert!(
        !text.contains(&token) && !text.contains("AWS4-HMAC-SHA256"),
        "{text}"
    );
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["operation"], "GetAuthorizationToken");
    assert_eq!(lines[0]["status"], 200);
}
