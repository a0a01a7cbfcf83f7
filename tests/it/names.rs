//! Names are parsed once and print back as they were written.

#![expect(clippy::panic, reason = "helpers of tests fail the test")]

use proptest::prelude::*;
use slipway::name::{
    Arn, ClusterName, ContainerName, Digest, ImageRef, RegistryHost, Repository, ServiceName, Tag,
};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn digest() -> String {
    format!("sha256:{HEX}")
}

/// Registry, repository, tag and digest of a reference.
fn parts(text: &str) -> (Option<String>, String, Option<String>, Option<String>) {
    let reference: ImageRef = text.parse().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(reference.to_string(), text);
    (
        reference.registry.map(|it| it.to_string()),
        reference.repository.to_string(),
        reference.tag.map(|it| it.to_string()),
        reference.digest.map(|it| it.to_string()),
    )
}

#[test]
fn a_reference_without_a_registry_is_docker_hubs() {
    for (text, host) in [
        ("web", "docker.io"),
        ("shop/web:1", "docker.io"),
        ("localhost:5000/web", "localhost:5000"),
    ] {
        assert_eq!(text.parse::<ImageRef>().unwrap().host(), host, "{text}");
    }
}

#[test]
fn a_colon_is_a_port_before_the_last_slash_and_a_tag_after_it() {
    let ecr = "000000000000.dkr.ecr.eu-west-1.amazonaws.com";
    let some = |text: &str| Some(text.to_owned());
    for (text, registry, repository, tag) in [
        ("web".to_owned(), None, "web", None),
        ("web:1.0".to_owned(), None, "web", some("1.0")),
        ("shop/web:1".to_owned(), None, "shop/web", some("1")),
        ("localhost/img".to_owned(), some("localhost"), "img", None),
        (
            "localhost:5000/img".to_owned(),
            some("localhost:5000"),
            "img",
            None,
        ),
        (
            "localhost:5000/a/b:2".to_owned(),
            some("localhost:5000"),
            "a/b",
            some("2"),
        ),
        (
            "[::1]:5000/img:2".to_owned(),
            some("[::1]:5000"),
            "img",
            some("2"),
        ),
        (
            "127.0.0.1:4566/img".to_owned(),
            some("127.0.0.1:4566"),
            "img",
            None,
        ),
        (format!("{ecr}/shop/web:v1"), some(ecr), "shop/web", some("v1")),
        // Without a dot, a port or the name `localhost`, the first part is no registry.
        ("myhost/img".to_owned(), None, "myhost/img", None),
    ] {
        let expected = (registry, repository.to_owned(), tag.clone(), None);
        assert_eq!(parts(&text), expected, "{text}");
        // A digest may follow a tag, and the tag stays: both are part of what was written.
        let pinned = (expected.0, expected.1, tag, Some(digest()));
        assert_eq!(parts(&format!("{text}@{}", digest())), pinned, "{text}");
    }
}

#[test]
fn a_reference_that_is_none_says_what_is_wrong() {
    for (text, says) in [
        (
            "",
            "`` is not a valid image reference: repository name: it is empty",
        ),
        (
            "web:",
            "`web:` is not a valid image reference: image tag: it is empty",
        ),
        (
            "web@",
            "`web@` is not a valid image reference: image digest: it does not start with `sha256:`",
        ),
        (
            "we b",
            "`we b` is not a valid image reference: repository name: ' ' in `we b` is not allowed",
        ),
        (
            "Web",
            "`Web` is not a valid image reference: repository name: 'W' in `Web` must be lower case",
        ),
        (
            "a//b",
            "`a//b` is not a valid image reference: repository name: a path component is empty",
        ),
        (
            "web:a b",
            "`web:a b` is not a valid image reference: image tag: ' ' at byte 1 is not allowed there",
        ),
        (
            "localhost:99999/web",
            "`localhost:99999/web` is not a valid image reference: registry host: `99999` is no port",
        ),
        (
            "web@sha256:abc",
            "`web@sha256:abc` is not a valid image reference: image digest: it has 3 hex digits, 64 are needed",
        ),
    ] {
        assert_eq!(text.parse::<ImageRef>().unwrap_err().to_string(), says);
    }
}

#[test]
fn replacing_the_tag_or_digest_keeps_registry_and_repository() {
    let other = Digest::of(b"other");
    for text in [
        "localhost:5000/img",
        "localhost:5000/img:1",
        &format!("localhost:5000/img@{}", digest()),
    ] {
        let reference: ImageRef = text.parse().unwrap();
        let tag: Tag = "2.0".parse().unwrap();
        assert_eq!(
            reference.at_tag(tag).to_string(),
            "localhost:5000/img:2.0",
            "{text}"
        );
        assert_eq!(
            reference.at_digest(other.clone()).to_string(),
            format!("localhost:5000/img@{other}"),
            "{text}"
        );
        assert_eq!(reference.name(), "localhost:5000/img");
    }
}

#[test]
fn repositories_follow_the_distribution_grammar() {
    for good in ["a", "a/b/c/d/e", "a.b_c__d---e/f0", &"a".repeat(255)] {
        assert!(good.parse::<Repository>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "/a",
        "a/",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "A",
        "é",
        &"a".repeat(256),
    ] {
        assert!(bad.parse::<Repository>().is_err(), "{bad}");
    }
}

#[test]
fn tags_have_up_to_128_characters_and_no_leading_dot_or_dash() {
    for good in ["1", "v1.0-rc_2", "_x", &"t".repeat(128)] {
        assert!(good.parse::<Tag>().is_ok(), "{good}");
    }
    for bad in ["", ".x", "-x", "a/b", "a:b", "é", &"t".repeat(129)] {
        assert!(bad.parse::<Tag>().is_err(), "{bad}");
    }
}

#[test]
fn a_digest_has_64_lower_case_hex_digits() {
    assert_eq!(Digest::of(b"").to_string(), digest());
    assert_eq!(Digest::of(b"").short(), &HEX[..12]);
    for bad in [
        "",
        HEX,
        "sha512:00",
        &format!("sha256:{}", &HEX[1..]),
        &format!("sha256:{HEX}0"),
        &digest().to_uppercase(),
    ] {
        assert!(bad.parse::<Digest>().is_err(), "{bad}");
    }
}

#[test]
fn private_ecr_registries_are_known_by_their_host() {
    for (host, parts) in [
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            Some(("123456789012", "eu-west-1")),
        ),
        (
            "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
            Some(("123456789012", "us-east-1")),
        ),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            Some(("123456789012", "cn-north-1")),
        ),
        ("public.ecr.aws", None),
        ("12345.dkr.ecr.eu-west-1.amazonaws.com", None),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", None),
        ("evil.example", None),
        ("localhost:5000", None),
    ] {
        let host: RegistryHost = host.parse().unwrap();
        assert_eq!(host.ecr_parts(), parts, "{host}");
        assert_eq!(host.is_ecr(), parts.is_some());
    }
}

#[test]
fn hosts_with_bad_ports_or_labels_are_refused() {
    for good in [
        "localhost",
        "a.b:1",
        "[::1]",
        "[fe80::1]:5000",
        "Registry.Example",
    ] {
        assert!(good.parse::<RegistryHost>().is_ok(), "{good}");
    }
    for bad in [
        "", ":5000", "a:", "a:70000", "-a.b", "a..b", "a b", "[::1", "[zz]:1",
    ] {
        assert!(bad.parse::<RegistryHost>().is_err(), "{bad}");
    }
}

fn component() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}"
}

fn reference() -> impl Strategy<Value = String> {
    let registry = prop::option::of("(localhost|[a-z]{1,5}\\.[a-z]{2,4})(:[1-9][0-9]{0,3})?");
    let path = prop::collection::vec(component(), 1..4);
    let tag = prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}");
    let digest = prop::option::of("[0-9a-f]{64}");
    (registry, path, tag, digest).prop_map(|(registry, mut path, tag, digest)| {
        if registry.is_none() {
            // A first part with a dot would be a registry.
            path[0] = path[0].replace('.', "-");
        }
        let registry = registry.map(|it| it + "/").unwrap_or_default();
        let tag = tag.map(|it| format!(":{it}")).unwrap_or_default();
        let digest = digest.map(|it| format!("@sha256:{it}")).unwrap_or_default();
        format!("{registry}{}{tag}{digest}", path.join("/"))
    })
}

proptest! {
    #[test]
    fn a_good_reference_prints_as_it_was_written(text in reference()) {
        let parsed: ImageRef = text.parse().unwrap();
        prop_assert_eq!(parsed.to_string(), text);
    }

    #[test]
    fn whatever_parses_prints_back_and_parses_to_the_same(text in "[a-zA-Z0-9:/@._\\[\\]-]{0,40}") {
        if let Ok(parsed) = text.parse::<ImageRef>() {
            prop_assert_eq!(parsed.to_string(), text.clone());
            prop_assert_eq!(parsed.to_string().parse::<ImageRef>(), Ok(parsed));
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>()) {
        let _ = text.parse::<ImageRef>();
        let _ = text.parse::<RegistryHost>().map(|host| host.is_ecr());
        let _ = text.parse::<Digest>();
        let _ = text.parse::<Arn>().map(|arn| arn.short().to_owned());
        let _ = text.parse::<ContainerName>();
        let _ = text.parse::<ClusterName>();
        let _ = text.parse::<ServiceName>();
    }
}
