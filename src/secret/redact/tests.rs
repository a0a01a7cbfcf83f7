use super::{environment_values, hides, mask, redact, unless_public};
use crate::secret::Secret;
use proptest::prelude::*;

fn jwt() -> String {
    format!("eyJhbGciOiJIUzI1NiJ9.{}", "x".repeat(40))
}

#[test]
fn credentials_are_replaced() {
    let jwt = jwt();
    for (text, shown) in [
        (
            "Authorization: Basic dXNlcjpwYXNz",
            "Authorization: Basic [secret]",
        ),
        (
            "\"Authorization\": [\"Bearer abc\"]",
            "\"Authorization\": [\"Bearer [secret]\"]",
        ),
        ("X-Registry-Auth: e30=", "X-Registry-Auth: [secret]"),
        (
            "{\"X-Registry-Auth\": \"e30=\"}",
            "{\"X-Registry-Auth\": \"[secret]\"}",
        ),
        ("got Bearer 0123456789abcdef from", "got Bearer [secret] from"),
        (
            "GET https://me:pw@r.example.com/v2/ failed",
            "GET https://[secret]@r.example.com/v2/ failed",
        ),
        (
            "postgres://app:p/w#1@db:5432/shop",
            "postgres://[secret]@db:5432/shop",
        ),
        (
            "https://s3/x?X-Amz-Credential=AK&X-Amz-Signature=abc&y=1: EOF",
            "https://s3/x?X-Amz-Credential=[secret]&X-Amz-Signature=[secret]&y=1: EOF",
        ),
        (&format!("token {jwt} is bad"), "token [secret] is bad"),
        (&format!("AWS:{jwt}"), "AWS:[secret]"),
        (
            "login failed: password=hunter2",
            "login failed: password=[secret]",
        ),
        ("secret_access_key=wJalr/K7", "secret_access_key=[secret]"),
        (
            "aws_secret_access_key = wJalr",
            "aws_secret_access_key = [secret]",
        ),
        (
            "spring.datasource.password=correct horse",
            "spring.datasource.password=[secret] horse",
        ),
        ("PGPASSWORD='correct horse' psql", "PGPASSWORD='[secret]' psql"),
        ("token: abc123def", "token: [secret]"),
        ("password: hunter", "password: [secret]"),
        ("api-key: 12ab-34cd.", "api-key: [secret]."),
        (
            r#"{"user":"app","password":"hun,ter \"2\"","port":5432}"#,
            r#"{"user":"app","password":"[secret]","port":5432}"#,
        ),
        (
            r#"said {\"clientSecret\":\"abc def\"}"#,
            r#"said {\"clientSecret\":\"[secret]\"}"#,
        ),
        ("{'token': 'abc'}", "{'token': '[secret]'}"),
        (
            "mysql --user app --password hunter db",
            "mysql --user app --password [secret] db",
        ),
        (
            "[\"--password\", \"hunter\", \"db\"]",
            "[\"--password\", \"[secret]\", \"db\"]",
        ),
        ("run --api-key=abc x", "run --api-key=[secret] x"),
        ("Cookie: a=1; b=2", "Cookie: [secret]"),
        ("Set-Cookie: id=abc; HttpOnly", "Set-Cookie: [secret]"),
        ("keys AKIAIOSFODNN7EXAMPLE are old", "keys [secret] are old"),
        (
            "ASIAIOSFODNN7EXAMPLE/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "[secret]",
        ),
        (
            "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "[secret] [secret]",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----[secret]-----END RSA PRIVATE KEY-----",
        ),
        (
            "Authorization: Token 9944b09199c62bcf9418ad846dd0e4bb, retried",
            "Authorization: Token [secret], retried",
        ),
        (
            "authorization: ApiKey Zm9vYmFyYmF6cXV4MTIzNA==",
            "authorization: ApiKey [secret]",
        ),
        (
            "Authorization: Digest username=\"app\", nonce=\"x\", response=\"6629fae49393\"\nnext",
            "Authorization: Digest [secret]\nnext",
        ),
        (
            r#"{"Authorization": "Digest username=\"app\", response=\"6629fae49393\""}"#,
            r#"{"Authorization": "Digest [secret]"}"#,
        ),
        ("pass: hunter2, fail: 3", "pass: [secret], fail: 3"),
        ("session=3fa9c1d27b", "session=[secret]"),
        (
            "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgwMbRvI0MBZhpJ",
            "[secret]",
        ),
    ] {
        assert_eq!(redact(text), shown);
    }
}

#[test]
fn ordinary_texts_stay_as_they_are() {
    for text in [
        "denied: Your authorization token has expired. Reauthenticate and try again.",
        "no basic auth credentials",
        "Basic authentication is required",
        "it may require authorization: authorization failed: no basic auth credentials",
        "copy git@github.com:me/it.git and https://example.com/a@b",
        "http://10.0.0.1:8080/a@b and http://h:80",
        "eyJ is short",
        "  two  spaces\tand tabs\n",
        "",
        "SyntaxError: Unexpected token: expected `}` at line 3",
        "unexpected token: identifier",
        "password: must have 8 characters",
        "password authentication failed for user \"app\"",
        "Password: required",
        "missing secret: DATABASE_URL is not set",
        "unable to retrieve secret from asm: failed to fetch secret \
         arn:aws:secretsmanager:eu-west-1:000000000000:secret:shop/db-AbCdEf from secrets manager",
        "the security token included in the request is expired",
        "ExpiredTokenException: The security token included in the request is expired",
        "session: closed by peer",
        "max_tokens=4096 token_count=17 tokens: 512 session_timeout=30",
        "keyboard: ok, monkey=1, primary_key=id",
        "parser::Token::Identifier at src/token.rs:12:34",
        "set --token to what `slipway` printed",
        "--password is required; use --password-stdin",
        "error: --password requires a value",
        "error: the --auth-token option was not given",
        "the --password flag needs an argument",
        "checks: pass: 12, fail: 3",
        "token=EOF at line 3: unexpected token: '}'",
        "no such table: session (SQLSTATE 42P01) session=unknown_table",
        "authorization: failed: no such user 123456789012",
        "authorization: account 123456789012 may not assume it",
        "authorization: role arn:aws:iam::123456789012:role/shop was denied",
        "authorization: Digest authentication is required",
        "PWD=/srv/shop OLDPWD=/",
        "DB_PASSWORD=$DB_PASSWORD TOKEN=%s password=******",
        "shop@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 of \
         digest sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "WWW-Authenticate: Bearer realm=\"https://auth.example/token\",service=\"registry\"",
        "{\"level\":\"info\",\"token\":null,\"session\":true,\"msg\":\"listening on 0.0.0.0:8080\"}",
        "2026-01-01T00:00:00Z ERROR com.example.Token - connect ECONNREFUSED 10.0.0.3:5432",
        "-----BEGIN CERTIFICATE-----",
        "(service shop) (deployment ecs-svc/5036054880848365862) deployment failed: tasks failed to start.",
    ] {
        assert_eq!(redact(text), text);
    }
}

fn values(variables: &[(&str, &str)]) -> Vec<String> {
    let found = environment_values(variables.iter().copied());
    found.iter().map(|value| value.expose().clone()).collect()
}

#[test]
fn values_of_variables_are_hidden_unless_they_are_short_or_ordinary() {
    for ordinary in [
        ("MODE", "production"),
        ("REGION", "eu-west-1"),
        ("LOG", "/var/log/shop/access.log"),
        ("DB", "db.internal:5432"),
        ("URL", "https://api.example.com/v2"),
        ("LEVEL", "info"),
        ("SHORT", "a1B2c3"),
        ("API_KEY", "abc"),
        ("TOKEN_STORE", "memory"),
        ("KEYCLOAK_CLIENT", "backend"),
        ("AUTH_MODE", "anonymous"),
        ("PWD", "/srv/shop"),
        ("ROLE", "arn:aws:iam::000000000000:role/shop1A2b"),
    ] {
        assert!(values(&[ordinary]).is_empty(), "{ordinary:?}");
    }
    assert_eq!(
        values(&[
            ("DSN", "postgres://app:canary/1@db/shop"),
            ("DB_PASSWORD", "canary"),
            ("NOTE", "hunter2CANARY"),
            ("API_KEY", "canary7"),
            ("SECRET_KEY", "onlyletters"),
            ("AUTH", "qwertzuiopasdfghjklyxcvbnm")
        ]),
        [
            "postgres://app:canary/1@db/shop",
            "qwertzuiopasdfghjklyxcvbnm",
            "hunter2CANARY",
            "onlyletters",
            "canary/1",
            "canary7",
            "canary"
        ]
    );
    let key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5\n-----END KEY-----";
    assert_eq!(
        values(&[("CERT", key)]),
        [
            key,
            "MIIEpAIBAAKCAQEA0Z3VS5",
            "-----BEGIN KEY-----",
            "-----END KEY-----"
        ]
    );
}

#[test]
fn what_everybody_may_see_is_known_by_whole_words() {
    let values = |all: &[&str]| -> Vec<Secret<String>> {
        all.iter().map(|value| Secret::new((*value).to_owned())).collect()
    };
    let public = [
        "arn:aws:ecs:eu-west-1:000000000000:service/prod/webshop-api",
        "registry.example/shop/web@sha256:22",
        "backend",
    ]
    .map(str::to_owned);
    let hidden = ["webshop9", "000000", "backen", "web@sha256:2", "ackend", ""];
    let shown = [
        "webshop",
        "webshop-api",
        "backend",
        "registry.example/shop/web",
        "eu-west-1",
    ];
    let all = values(&[&hidden[..], &shown].concat());
    let mut kept: Vec<String> = hidden.map(str::to_owned).into();
    let mut found: Vec<String> = unless_public(all, &public)
        .iter()
        .map(|value| value.expose().clone())
        .collect();
    kept.sort();
    found.sort();
    assert_eq!(found, kept);
}

#[test]
fn a_number_is_no_part_of_a_larger_number() {
    let values = [Secret::new("000000".to_owned())];
    let account = "arn:aws:ecs:eu-west-1:000000000000:service/prod/shop";
    assert_eq!(mask(account, &values), account);
    assert_eq!(
        mask("pin 000000, 0000001 and x000000", &values),
        "pin [secret], 0000001 and x[secret]"
    );
}

#[test]
fn a_value_that_is_a_part_of_the_mask_leaves_masks_whole() {
    let values = [
        Secret::new("secret".to_owned()),
        Secret::new("removed".to_owned()),
    ];
    let mut text = "a secret, [secret] and [removed]".to_owned();
    assert!(hides(&mut text, &values));
    assert_eq!(text, "a [secret], [secret] and [removed]");
    assert!(!hides(&mut text, &values));
}

/// Pieces of what far ends say, in any order.
fn text() -> impl Strategy<Value = String> {
    let shapes = [
        "password",
        "token",
        "Authorization",
        "Cookie",
        "--secret",
        "secret",
        "api_key",
        "Basic",
        "Bearer",
        "Digest ",
        "Token ",
        "=",
        ":",
        ": ",
        " = ",
        " ",
        ", ",
        "\"",
        "\\\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        ";",
        "&",
        ".",
        "\n",
        "https://",
        "me:pw@host",
        "://a:b@",
        "eyJhbGciOiJIUzI1NiJ9eyJhbGciOiJIUzI1NiJ9",
        "AKIAIOSFODNN7EXAMPLE",
        "hunter2",
        "canary",
        "expected",
        "[secret]",
        "[removed]",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "abc123def456",
        "X-Amz-Signature=",
        "X-Registry-Auth",
        "arn:aws:x",
        "ä",
        "/",
        "@",
        "#",
        "-",
    ];
    let piece =
        prop_oneof![8 => proptest::sample::select(shapes.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,4}"];
    proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_it_panic_and_a_second_pass_changes_nothing(text in prop_oneof![text(), "\\PC*"]) {
        let once = redact(&text);
        prop_assert_eq!(redact(&once), once);
    }

    #[test]
    fn what_is_masked_with_values_is_not_masked_again(text in text()) {
        let values: Vec<Secret<String>> =
            ["hunter2", "secret", "canary", "abc1"].map(|value| Secret::new(value.to_owned())).into();
        let once = mask(&text, &values);
        prop_assert_eq!(&mask(&once, &values), &once);
        prop_assert_eq!(&redact(&once), &once);
        prop_assert!(!once.contains("hunter2") && !once.contains("canary"));
    }
}
