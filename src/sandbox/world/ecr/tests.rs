//! ECR's operations, called as the wire calls them.

use super::repository::{Put, digest_of};
use super::{Admission, Ecr};
use crate::sandbox::world::WorldConfig;
use crate::sandbox::world::ecs::Timings;
use serde_json::{Value, json};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_767_225_600);
const HOST: &str = "127.0.0.1:4566";

fn ecr() -> Ecr {
    let mut ecr = Ecr::new(&WorldConfig {
        region: "eu-west-1".into(),
        registry_host: HOST.into(),
        timings: Timings::default(),
    });
    call(
        &mut ecr,
        "CreateRepository",
        json!({ "repositoryName": "shop/web" }),
    );
    ecr
}

fn call(ecr: &mut Ecr, operation: &str, input: impl Into<Value>) -> Value {
    ecr.call(NOW, operation, &input.into()).unwrap()
}

fn code(ecr: &mut Ecr, operation: &str, input: impl Into<Value>) -> String {
    ecr.call(NOW, operation, &input.into()).unwrap_err().code
}

/// Puts an image with one layer; gives its manifest.
fn image(ecr: &mut Ecr, layer: &str, tag: Option<&str>) -> String {
    let repository = ecr.repository_mut("shop/web").unwrap();
    let (config, layer) = (digest_of(b"{}"), digest_of(layer.as_bytes()));
    repository.blobs.insert(config.clone(), 2);
    repository.blobs.insert(layer.clone(), 40);
    let text = json!({
        "schemaVersion": 2,
        "mediaType": super::manifest::OCI_MANIFEST,
        "config": { "digest": config, "size": 2, "mediaType": "application/vnd.oci.image.config.v1+json" },
        "layers": [{ "digest": layer, "size": 40 }],
    })
    .to_string();
    let put = Put {
        text: &text,
        media_type: None,
        tag,
        digest: None,
    };
    repository.put(NOW, put).unwrap();
    text
}

#[test]
fn a_repository_is_shown_as_ecr_shows_it() {
    let mut ecr = ecr();
    assert_eq!(
        call(
            &mut ecr,
            "DescribeRepositories",
            json!({ "repositoryNames": ["shop/web"] })
        )["repositories"][0],
        json!({
            "repositoryArn": "arn:aws:ecr:eu-west-1:000000000000:repository/shop/web",
            "registryId": "000000000000",
            "repositoryName": "shop/web",
            "repositoryUri": "127.0.0.1:4566/shop/web",
            "createdAt": 1_767_225_600.0,
            "imageScanningConfiguration": { "scanOnPush": false },
            "encryptionConfiguration": { "encryptionType": "AES256" },
            "imageTagMutability": "MUTABLE",
        })
    );
    assert_eq!(
        code(
            &mut ecr,
            "CreateRepository",
            json!({ "repositoryName": "shop/web" })
        ),
        "RepositoryAlreadyExistsException"
    );
    assert_eq!(
        code(
            &mut ecr,
            "DescribeRepositories",
            json!({ "repositoryNames": ["no"] })
        ),
        "RepositoryNotFoundException"
    );
}

#[test]
fn bad_parameters_are_refused() {
    let mut ecr = ecr();
    for (operation, input) in [
        ("CreateRepository", json!({ "repositoryName": "Upper" })),
        ("CreateRepository", json!({})),
        (
            "CreateRepository",
            json!({ "repositoryName": "ok", "imageTagMutability": "SOMETIMES" }),
        ),
        (
            "CreateRepository",
            json!({ "repositoryName": "ok", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION" }),
        ),
        ("DescribeRepositories", json!({ "maxResults": 1001 })),
        ("DescribeRepositories", json!({ "nextToken": "!" })),
        (
            "DescribeImages",
            json!({ "repositoryName": "shop/web", "imageIds": [] }),
        ),
        ("BatchGetImage", json!({ "repositoryName": "shop/web" })),
        (
            "PutImage",
            json!({ "repositoryName": "shop/web", "imageManifest": "{" }),
        ),
    ] {
        assert_eq!(
            code(&mut ecr, operation, input.clone()),
            "InvalidParameterException",
            "{operation} {input}"
        );
    }
    let unknown = ecr.call(NOW, "StartImageScan", &json!({})).unwrap_err();
    assert_eq!(unknown.code, "UnknownOperationException");
    assert!(unknown.message.contains("StartImageScan"));
}

#[test]
fn images_are_found_by_tag_and_digest_and_missing_ones_are_failures() {
    let mut ecr = ecr();
    let text = image(&mut ecr, "one", Some("v1"));
    let digest = digest_of(text.as_bytes());
    let answer = call(
        &mut ecr,
        "BatchGetImage",
        json!({ "repositoryName": "shop/web", "imageIds": [
            { "imageTag": "v1" }, { "imageTag": "v2" }, { "imageDigest": digest }, {}
        ]}),
    );
    assert_eq!(answer["images"][0]["imageManifest"], text);
    assert_eq!(answer["images"][1]["imageId"], json!({ "imageDigest": digest }));
    assert_eq!(answer["failures"][0]["failureCode"], "ImageNotFound");
    assert_eq!(answer["failures"][1]["failureCode"], "MissingDigestAndTag");
    assert_eq!(
        code(
            &mut ecr,
            "DescribeImages",
            json!({ "repositoryName": "shop/web", "imageIds": [{ "imageTag": "v2" }] })
        ),
        "ImageNotFoundException"
    );
    let refused = call(
        &mut ecr,
        "BatchGetImage",
        json!({ "repositoryName": "shop/web", "imageIds": [{ "imageTag": "v1" }],
                "acceptedMediaTypes": ["application/vnd.docker.distribution.manifest.v2+json"] }),
    );
    assert_eq!(refused["images"], json!([]));
}

#[test]
fn describe_images_pages_and_filters() {
    let mut ecr = ecr();
    image(&mut ecr, "one", Some("v1"));
    image(&mut ecr, "two", None);
    image(&mut ecr, "three", Some("v3"));
    let first = call(
        &mut ecr,
        "DescribeImages",
        json!({ "repositoryName": "shop/web", "maxResults": 2 }),
    );
    assert_eq!(first["imageDetails"].as_array().unwrap().len(), 2);
    let second = call(
        &mut ecr,
        "DescribeImages",
        json!({ "repositoryName": "shop/web", "maxResults": 2, "nextToken": first["nextToken"] }),
    );
    assert_eq!(second["imageDetails"].as_array().unwrap().len(), 1);
    assert!(second.get("nextToken").is_none());
    let tagged = call(
        &mut ecr,
        "DescribeImages",
        json!({ "repositoryName": "shop/web", "filter": { "tagStatus": "TAGGED" } }),
    );
    let tagged = tagged["imageDetails"].as_array().unwrap();
    assert_eq!(tagged.len(), 2);
    assert_eq!(tagged[0]["imageSizeInBytes"], 42);
    assert_eq!(tagged[0]["imagePushedAt"], 1_767_225_600.0);
}

#[test]
fn put_image_tells_why_it_refuses() {
    let mut ecr = ecr();
    call(
        &mut ecr,
        "PutImageTagMutability",
        json!({ "repositoryName": "shop/web", "imageTagMutability": "IMMUTABLE" }),
    );
    let one = image(&mut ecr, "one", Some("v1"));
    let two = image(&mut ecr, "two", None);
    let put = |ecr: &mut Ecr, extra: Value| {
        let mut input = json!({ "repositoryName": "shop/web" });
        input
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        code(ecr, "PutImage", input)
    };
    assert_eq!(
        put(&mut ecr, json!({ "imageManifest": one, "imageTag": "v1" })),
        "ImageAlreadyExistsException"
    );
    assert_eq!(
        put(&mut ecr, json!({ "imageManifest": two, "imageTag": "v1" })),
        "ImageTagAlreadyExistsException"
    );
    assert_eq!(
        put(
            &mut ecr,
            json!({ "imageManifest": two, "imageDigest": digest_of(b"") })
        ),
        "ImageDigestDoesNotMatchException"
    );
    let strange = one.replace(&digest_of(b"one"), &digest_of(b"nowhere"));
    assert_eq!(
        put(&mut ecr, json!({ "imageManifest": strange })),
        "LayersNotFoundException"
    );
    let index = json!({ "schemaVersion": 2, "manifests": [{ "digest": digest_of(b"nowhere"), "size": 1 }] });
    assert_eq!(
        put(&mut ecr, json!({ "imageManifest": index.to_string() })),
        "ReferencedImagesNotFoundException"
    );
}

#[test]
fn a_reference_resolves_to_the_platform_of_this_machine() {
    let mut ecr = ecr();
    let plain = digest_of(image(&mut ecr, "one", Some("v1")).as_bytes());
    let attestation = digest_of(image(&mut ecr, "two", None).as_bytes());
    let index = json!({
        "schemaVersion": 2,
        "manifests": [
            { "digest": attestation, "size": 1, "platform": { "os": "linux", "architecture": super::ARCHITECTURE },
              "annotations": { "vnd.docker.reference.type": "attestation-manifest" } },
            { "digest": plain, "size": 1, "platform": { "os": "linux", "architecture": super::ARCHITECTURE } },
        ],
    })
    .to_string();
    let put = Put {
        text: &index,
        media_type: None,
        tag: Some("many"),
        digest: None,
    };
    ecr.repository_mut("shop/web").unwrap().put(NOW, put).unwrap();

    assert!(ecr.resolve("docker.io/library/nginx:1").is_none());
    let one = ecr.resolve(&format!("{HOST}/shop/web:v1")).unwrap().unwrap();
    assert_eq!(
        (one.digest.as_str(), one.platform_digest.as_str()),
        (plain.as_str(), plain.as_str())
    );
    let many = ecr.resolve(&format!("{HOST}/shop/web:many")).unwrap().unwrap();
    assert_eq!(many.digest, digest_of(index.as_bytes()));
    assert_eq!(many.platform_digest, plain);
    let pinned = ecr
        .resolve(&format!("{HOST}/shop/web:v1@{plain}"))
        .unwrap()
        .unwrap();
    assert_eq!(pinned.digest, plain);
    assert_eq!(
        ecr.resolve(&format!("{HOST}/shop/web:v9")).unwrap().unwrap_err(),
        "failed to resolve ref 127.0.0.1:4566/shop/web:v9: 127.0.0.1:4566/shop/web:v9: not found"
    );
}

#[test]
fn a_token_opens_the_registry_for_twelve_hours() {
    let mut ecr = ecr();
    let answer = call(&mut ecr, "GetAuthorizationToken", json!({}));
    assert_eq!(answer["authorizationData"][0]["expiresAt"], 1_767_268_800.0);
    let token = "sandbox-registry-token-1";
    assert_eq!(ecr.admits(NOW, token), Admission::Granted);
    assert_eq!(ecr.admits(NOW + super::TOKEN_LIFE, token), Admission::Expired);
    assert_eq!(ecr.admits(NOW, "other"), Admission::Unknown);
}

#[test]
fn an_image_under_an_index_is_not_deleted() {
    let mut ecr = ecr();
    let child = digest_of(image(&mut ecr, "one", None).as_bytes());
    let index = json!({ "schemaVersion": 2, "manifests": [{ "digest": child, "size": 1 }] }).to_string();
    let put = Put {
        text: &index,
        media_type: None,
        tag: Some("many"),
        digest: None,
    };
    ecr.repository_mut("shop/web").unwrap().put(NOW, put).unwrap();
    let delete = |ecr: &mut Ecr, id: Value| {
        call(
            ecr,
            "BatchDeleteImage",
            json!({ "repositoryName": "shop/web", "imageIds": [id] }),
        )
    };
    let refused = delete(&mut ecr, json!({ "imageDigest": child }));
    assert_eq!(
        refused["failures"][0]["failureCode"],
        "ImageReferencedByManifestList"
    );
    let gone = delete(&mut ecr, json!({ "imageTag": "many" }));
    assert_eq!(gone["imageIds"][0]["imageTag"], "many");
    assert_eq!(
        delete(&mut ecr, json!({ "imageDigest": child }))["failures"],
        json!([])
    );
}

#[test]
fn layers_are_available_or_not() {
    let mut ecr = ecr();
    image(&mut ecr, "one", None);
    let answer = call(
        &mut ecr,
        "BatchCheckLayerAvailability",
        json!({ "repositoryName": "shop/web", "layerDigests": [digest_of(b"one"), digest_of(b"two"), "x"] }),
    );
    assert_eq!(answer["layers"][0]["layerAvailability"], "AVAILABLE");
    assert_eq!(answer["layers"][1]["layerAvailability"], "UNAVAILABLE");
    assert_eq!(answer["failures"][0]["failureCode"], "InvalidLayerDigest");
}
