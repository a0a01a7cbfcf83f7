//! Tables of good and bad files, and the agreement with the published schema.

use crate::artifact::imagedefinitions::{Definitions, DefinitionsError, MAX_BYTES, SCHEMA};
use crate::name::{ContainerName, Digest};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::error::Error;
use std::sync::LazyLock;

/// The whole chain, as a person would read it.
fn problem(bytes: &[u8]) -> String {
    let error = Definitions::parse(bytes).unwrap_err();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn a_good_file_gives_its_entries_in_order() {
    let text = br#" [ {"imageUri":"public.example.com/a/b:1.2", "name":"web"},
        {"name":"log_router","imageUri":"fluent"} ] "#;
    let definitions = Definitions::parse(text).unwrap();
    let shown: Vec<String> = definitions
        .entries()
        .iter()
        .map(|entry| format!("{} {}", entry.name, entry.image))
        .collect();
    assert_eq!(shown, ["web public.example.com/a/b:1.2", "log_router fluent"]);
    let missing: ContainerName = "other".parse().unwrap();
    assert_eq!(definitions.image_of(&missing), None);
}

#[test]
fn each_mistake_has_its_own_error() {
    let table: [(&[u8], &str); 30] = [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (
            b"\xef\xbb\xbf[]",
            "it starts with a byte order mark (UTF-8 BOM), which is no JSON",
        ),
        (
            b"\xff\xfe[\0]\0",
            "it starts with a byte order mark (UTF-16 BOM), which is no JSON",
        ),
        (b"[\"\xe9\"]", "it is not UTF-8: byte 3 cannot be decoded"),
        (
            b"[{'name':'web'}]",
            "it is not JSON: a single quote at line 1, column 3",
        ),
        (b"'[]'", "it is not JSON: a single quote at line 1, column 1"),
        (
            b"[\n{\"name\":\n'web'}]",
            "it is not JSON: a single quote at line 3, column 1",
        ),
        (
            b"[{\"name\":\"web\",'imageUri':1}]",
            "it is not JSON: a single quote at line 1, column 16",
        ),
        (
            b"[{name:1}]",
            "it is not JSON: key must be a string at line 1 column 3",
        ),
        (
            b"[{}",
            "it is not JSON: EOF while parsing a list at line 1 column 3",
        ),
        (b"[] x", "it is not JSON: trailing characters at line 1 column 4"),
        (
            br#"{"ImageURI":"web@sha256:1"}"#,
            "it is one object with `ImageURI`, the `imageDetail.json` of blue/green deployments",
        ),
        (
            br#"{"name":"web","imageUri":"web"}"#,
            "it is one object, a list of them is expected",
        ),
        (b"\"web\"", "it is a string, a list of objects is expected"),
        (b"null", "it is null, a list of objects is expected"),
        (b"12.50", "it is a number, a list of objects is expected"),
        (b"[]", "it is an empty list: it names no container"),
        (
            b"[1]",
            "entry 1 is a number, an object with `name` and `imageUri` is expected",
        ),
        (
            b"[[]]",
            "entry 1 is a list, an object with `name` and `imageUri` is expected",
        ),
        (b"[{}]", "entry 1 has no `name`"),
        (br#"[{"name":"web"}]"#, "entry 1 has no `imageUri`"),
        (
            br#"[{"name":"web","imageURI":"web"}]"#,
            "entry 1 has an unknown member `imageURI`; `name` and `imageUri` are known",
        ),
        (
            br#"[{"name":"a","name":"b","imageUri":"web"}]"#,
            "entry 1 has `name` twice",
        ),
        (
            br#"[{"name":null,"imageUri":"web"}]"#,
            "`name` of entry 1 is null, a string is expected",
        ),
        (
            br#"[{"name":"web","imageUri":["web"]}]"#,
            "`imageUri` of entry 1 is a list, a string is expected",
        ),
        (
            br#"[{"name":"we b","imageUri":"web"}]"#,
            "`name` of entry 1 cannot be a container's: `we b` is not a valid container name: ' ' at byte 2; \
             letters, digits, `-` and `_` are allowed",
        ),
        (
            br#"[{"name":"web","imageUri":"shop/Web"}]"#,
            "`imageUri` of entry 1 (container `web`) is no image reference: `shop/Web` is not a valid image \
             reference: repository name: 'W' in `Web` must be lower case",
        ),
        (
            br#"[{"name":"web","imageUri":""}]"#,
            "`imageUri` of entry 1 (container `web`) is no image reference: `` is not a valid image reference: \
             repository name: it is empty",
        ),
        (
            br#"[{"name":"a","imageUri":"x"},{"name":"b","imageUri":"x"},{"name":"a","imageUri":"y"}]"#,
            "container `a` is named by entry 1 and by entry 3",
        ),
    ];
    for (bytes, says) in table {
        assert_eq!(problem(bytes), says, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn the_limit_is_exact() {
    let mut text = br#"[{"name":"web","imageUri":"web"}]"#.to_vec();
    text.resize(MAX_BYTES, b' ');
    assert!(Definitions::parse(&text).is_ok());
    text.push(b' ');
    assert_eq!(
        problem(&text),
        "it has 102401 bytes, CodePipeline reads up to 102400"
    );
}

#[test]
fn a_nesting_bomb_is_refused_and_not_followed() {
    let text = "[".repeat(MAX_BYTES);
    assert!(matches!(
        Definitions::parse(text.as_bytes()),
        Err(DefinitionsError::NotJson(_))
    ));
}

#[test]
fn a_misspelt_member_gets_a_hint() {
    for (member, meant) in [("imageURI", "imageUri"), ("Name", "name"), ("image", "imageUri")] {
        let text = json!([{ "name": "web", member: "x" }]).to_string();
        let text = text.replace(r#""name":"web","Name""#, r#""Name""#);
        let advice = Definitions::parse(text.as_bytes()).unwrap_err().advice();
        assert_eq!(advice, Some(format!("did you mean `{meant}`?")), "{text}");
    }
}

fn schema_accepts(document: &Value) -> bool {
    static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    });
    VALIDATOR.is_valid(document)
}

fn names() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => "[A-Za-z0-9_-]{1,12}".prop_map(Value::from),
        1 => "[ -~]{0,6}".prop_map(Value::from),
        1 => Just(json!("x".repeat(256))),
        1 => any_scalar(),
    ]
}

fn images() -> impl Strategy<Value = Value> {
    let good = "(([a-z]{1,4}\\.)?[a-z]{1,4}\\.io(:[1-9][0-9]{0,3})?/|localhost/)?[a-z]{1,4}(__?[a-z0-9]{1,3})?\
                (/[a-z0-9]{1,4}(-{1,3}[a-z]{1,2})?){0,3}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,5})?";
    prop_oneof![
        4 => good.prop_map(Value::from),
        2 => good.prop_map(|text| Value::from(format!("{text}@{}", Digest::of(text.as_bytes())))),
        3 => "[a-c:/@._A0-]{0,10}".prop_map(Value::from),
        1 => "[a-z]{1,3}@sha256:[0-9a-g]{63,65}".prop_map(Value::from),
        1 => any_scalar(),
    ]
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
    ]
}

fn entries() -> impl Strategy<Value = Value> {
    let extra = prop_oneof![8 => Just(None), 1 => "[a-zA-Z]{1,8}".prop_map(Some)];
    let member = |present| prop::bool::weighted(present);
    let object = (names(), images(), member(0.95), member(0.95), extra).prop_map(
        |(name, image, has_name, has_image, extra)| {
            let mut object = serde_json::Map::new();
            if let Some(extra) = extra {
                object.insert(extra, Value::from("x"));
            }
            if has_name {
                object.insert("name".to_owned(), name);
            }
            if has_image {
                object.insert("imageUri".to_owned(), image);
            }
            Value::Object(object)
        },
    );
    prop_oneof![12 => object, 1 => any_scalar()]
}

fn documents() -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => prop::collection::vec(entries(), 0..4).prop_map(Value::from),
        1 => entries(),
        1 => any_scalar(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn we_and_the_schema_accept_the_same_documents(document in documents()) {
        match Definitions::parse(document.to_string().as_bytes()) {
            Ok(definitions) => {
                prop_assert!(schema_accepts(&document), "only the schema rejects {document}");
                let again = Definitions::parse(definitions.to_json().as_bytes());
                prop_assert_eq!(again.unwrap(), definitions, "what is written reads back");
            }
            // A schema cannot compare two entries.
            Err(DefinitionsError::RepeatedContainer { .. }) => {}
            Err(error) => prop_assert!(!schema_accepts(&document), "only we reject {document}: {error}"),
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Definitions::parse(&bytes);
    }

    #[test]
    fn no_text_of_json_characters_makes_the_parser_panic(text in "[\\[\\]{}\"',:a1 \\n]{0,40}") {
        let _ = Definitions::parse(text.as_bytes());
    }
}
