//! Artifacts on their way from and to the sandbox's S3, with every fault at every request.

use crate::sandbox_support::start_with;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use futures_util::stream::{self, StreamExt as _};
use slipway::artifact::archive::{Content, Entry, pack_into};
use slipway::artifact::store::StoreError;
use slipway::artifact::transfer::{Amounts, Bucket, Stored, fetch, store};
use slipway::aws::sort::Sorted;
use slipway::aws::{Aws, AwsSettings, StaticKeys};
use slipway::config::settings::ArtifactTarget;
use slipway::failure::Kind;
use slipway::sandbox::server::{Sandbox, Shared};
use slipway::sandbox::world::s3::{Encryption, Object};
use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const BUCKET: &str = "artifacts";
const KEY: &str = "pipe/Build/x1";
const PLACE: &str = "s3://artifacts/pipe/Build/x1";
const KMS_KEY: &str = "arn:aws:kms:eu-west-1:000000000000:key/1234";

/// Little, so that many requests carry little.
const AMOUNTS: Amounts = Amounts {
    stretch: 100_000,
    part: 5 * 1024 * 1024,
};

/// Gives the sandbox's keys, counts how often, and does something before they are given again.
#[derive(Clone, Default)]
struct Keys {
    given: Arc<AtomicU32>,
    again: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        if self.given.fetch_add(1, Ordering::Relaxed) > 0
            && let Some(again) = self.again.get()
        {
            again();
        }
        let keys = Credentials::new("sandbox", "sandbox", None, None, "test");
        future::ProvideCredentials::ready(Ok(keys))
    }
}

struct Bench {
    sandbox: Sandbox,
    s3: Client,
    keys: Keys,
    journal: PathBuf,
    _folder: TempDir,
}

impl Bench {
    async fn new(scenario: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal.jsonl");
        let sandbox = start_with(scenario, Some(journal.clone())).await;
        let keys = Keys::default();
        let s3 = client(sandbox.endpoint(), keys.clone()).await;
        assert!(sandbox.world().visit(|world, now| world.s3.create(now, BUCKET)));
        Self {
            sandbox,
            s3,
            keys,
            journal,
            _folder: folder,
        }
    }

    /// A bench that holds an object.
    async fn holding(scenario: &str, bytes: &[u8]) -> Self {
        let bench = Self::new(scenario).await;
        let put = bench.s3.put_object().bucket(BUCKET).key(KEY);
        put.body(ByteStream::from(bytes.to_vec())).send().await.unwrap();
        bench
    }

    /// Changes the object that it holds.
    fn change(&self, change: impl FnOnce(&mut Object)) {
        self::change(&self.sandbox.world(), change);
    }

    async fn fetch(&self) -> Result<Vec<u8>, StoreError> {
        let bucket = self.bucket();
        let spool = tempfile::tempfile().unwrap();
        let mut file: File = fetch(&bucket, (BUCKET, KEY), spool).await?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        Ok(bytes)
    }

    fn bucket(&self) -> Bucket {
        Bucket::new(&self.s3).in_amounts(AMOUNTS)
    }

    async fn store(&self, entries: Vec<Entry>) -> Result<Stored, StoreError> {
        let bucket = self.bucket();
        store(&bucket, &target(Some(KMS_KEY)), entries).await
    }

    fn object(&self) -> Option<Object> {
        self.sandbox
            .world()
            .visit(|world, _| world.s3.bucket(BUCKET).unwrap().objects.get(KEY).cloned())
    }

    /// How many parts each upload has that is neither completed nor aborted.
    fn uploads(&self) -> Vec<usize> {
        self.sandbox.world().visit(|world, _| {
            (1..20)
                .filter_map(|number| {
                    world
                        .s3
                        .upload(&format!("sandbox-upload-{number:08}"), BUCKET, KEY)
                })
                .map(|upload| upload.parts.len())
                .collect()
        })
    }

    /// Waits until there is no upload that has parts.
    async fn until_no_parts(&self) {
        while self.uploads().iter().any(|&parts| parts > 0) {
            tokio::task::yield_now().await;
        }
    }

    /// The operations that were asked for, in order.
    fn asked(&self) -> Vec<String> {
        fs::read_to_string(&self.journal)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| line["operation"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The bytes that S3 holds.
    async fn held(&self) -> Vec<u8> {
        let got = self.s3.get_object().bucket(BUCKET).key(KEY).send().await.unwrap();
        got.body.collect().await.unwrap().to_vec()
    }
}

fn change(world: &Shared, change: impl FnOnce(&mut Object)) {
    world.visit(|world, _| {
        let bucket = world.s3.bucket_mut(BUCKET).unwrap();
        change(bucket.objects.get_mut(KEY).unwrap());
    });
}

async fn client(endpoint: &str, keys: Keys) -> Client {
    let aws = Aws::connect(AwsSettings {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        credentials: Some(StaticKeys {
            access_key_id: "sandbox".to_owned().into(),
            secret_access_key: "sandbox".to_owned().into(),
            session_token: None,
        }),
    });
    let config = aws.await.unwrap().s3.config().to_builder();
    Client::from_conf(config.credentials_provider(keys).build())
}

fn target(key: Option<&str>) -> ArtifactTarget {
    ArtifactTarget {
        bucket: BUCKET.to_owned(),
        key: KEY.to_owned(),
        kms_key: key.map(str::to_owned),
    }
}

/// Bytes that cannot be compressed, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn entry(name: &str, bytes: Vec<u8>) -> Entry {
    Entry {
        name: name.to_owned(),
        content: Content::Bytes(bytes),
        mode: 0o644,
    }
}

/// What becomes a zip of one part and a bit.
fn long_entries() -> Vec<Entry> {
    vec![
        entry("a", noise(5 * 1024 * 1024 + 1000)),
        entry("b", b"b".to_vec()),
    ]
}

fn short_entries() -> Vec<Entry> {
    vec![entry("imagedefinitions.json", b"[]".to_vec())]
}

fn fault(operation: &str, nth: usize, way: &str) -> String {
    let action = match way {
        "http" => "action = \"http\"\nstatus = 503",
        "error" => "action = \"error\"\ncode = \"InternalError\"\nmessage = \"no\"\nstatus = 500",
        "slow" => "action = \"slow\"\nms = 5000",
        "html" => "action = \"other-body\"\nbody = '<!doctype html><title>Sign in</title>'",
        "invalid-token" => "action = \"error\"\ncode = \"InvalidToken\"\nmessage = \"no\"\nstatus = 400",
        way => {
            return format!(
                "[[fault]]\nservice = \"s3\"\noperation = \"{operation}\"\nnth = {nth}\naction = \"{way}\"\n"
            );
        }
    };
    format!("[[fault]]\nservice = \"s3\"\noperation = \"{operation}\"\nnth = {nth}\n{action}\n")
}

/// What passes, if it happens once.
const PASSING: [&str; 9] = [
    "throttle",
    "error",
    "http",
    "refuse",
    "lost-answer",
    "cut-body",
    "slow",
    "expired-token",
    "invalid-token",
];

#[tokio::test]
async fn an_object_comes_whole_whatever_its_length_is() {
    for length in [0, 1, 100_000, 200_000, 200_001, 1_234_567] {
        let bytes = noise(length);
        let bench = Bench::holding("", &bytes).await;
        assert_eq!(bench.fetch().await.unwrap(), bytes, "{length}");
        let gets = bench.asked().iter().filter(|name| *name == "GetObject").count();
        let expected = if length <= 200_000 {
            1
        } else {
            length.div_ceil(100_000)
        };
        assert_eq!(gets, expected, "{length}");
        bench.sandbox.stop().await;
    }
}

#[tokio::test]
async fn each_request_of_a_read_may_fail_in_each_way_that_passes() {
    let bytes = noise(350_000);
    let cases = (1..=4).flat_map(|nth| PASSING.map(|way| (nth, way)));
    let ran = stream::iter(cases)
        .map(|(nth, way)| {
            let bytes = &bytes;
            async move {
                let bench = Bench::holding(&fault("GetObject", nth, way), bytes).await;
                let read = bench.fetch().await;
                assert!(read.is_ok_and(|read| read == *bytes), "{nth} {way}");
                let renewed = bench.keys.given.load(Ordering::Relaxed) - 1;
                assert_eq!(renewed, u32::from(way.ends_with("token")), "{nth} {way}");
                bench.sandbox.stop().await;
            }
        })
        .buffer_unordered(8)
        .count()
        .await;
    assert_eq!(ran, 36);
}

#[tokio::test]
async fn a_connection_that_breaks_again_and_again_is_given_up() {
    let always = "[[fault]]\nservice = \"s3\"\noperation = \"GetObject\"\naction = \"cut-body\"\n";
    let bytes = noise(1000);
    let bench = Bench::holding(always, &bytes).await;
    let error = bench.fetch().await.unwrap_err();
    assert!(matches!(&error, StoreError::Download { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("`{PLACE}` was not received whole"));
    assert_eq!(error.into_failure().kind, Kind::FarEnd);
    bench.sandbox.stop().await;
}

#[tokio::test]
async fn keys_that_are_never_good_are_renewed_once_only() {
    let always = "[[fault]]\nservice = \"s3\"\noperation = \"GetObject\"\naction = \"expired-token\"\n";
    let bench = Bench::holding(always, b"x").await;
    let error = bench.fetch().await.unwrap_err();
    assert_eq!(error.call().unwrap().sorted, Sorted::ExpiredCredentials);
    assert_eq!(error.call().unwrap().action, "s3:GetObject");
    assert_eq!(bench.keys.given.load(Ordering::Relaxed), 2);
    bench.sandbox.stop().await;
}

#[tokio::test]
async fn an_object_that_is_replaced_while_it_is_read_is_no_mixture() {
    let bench = Bench::holding(&fault("GetObject", 2, "invalid-token"), &noise(350_000)).await;
    let world = bench.sandbox.world();
    let replace = move || change(&world, |object| object.etag = "another".to_owned());
    assert!(bench.keys.again.set(Box::new(replace)).is_ok());
    let error = bench.fetch().await.unwrap_err();
    assert!(matches!(&error, StoreError::Replaced { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("`{PLACE}` was replaced while it was read")
    );
    bench.sandbox.stop().await;
}

#[tokio::test]
async fn an_object_that_is_damaged_is_refused() {
    for length in [1000, 350_000] {
        let bench = Bench::holding("", &noise(length)).await;
        bench.change(|object| {
            object.checksum = Some(("x-amz-checksum-crc64nvme".to_owned(), "AAAAAAAAAAA=".to_owned()));
        });
        let failure = bench.fetch().await.unwrap_err().into_failure();
        let cause = failure.root_cause().unwrap();
        assert!(cause.contains("crc64nvme"), "{length}: {cause}");
        bench.sandbox.stop().await;
    }
}

#[tokio::test]
async fn an_object_that_no_artifact_can_be_is_not_begun_with() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let far_end = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5368709121\r\netag: \"1\"\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Open until the client has had enough.
        stream.read(&mut [0; 1]).await
    });
    let s3 = client(&endpoint, Keys::default()).await;
    let spool = tempfile::tempfile().unwrap();
    let error = fetch(&Bucket::new(&s3), (BUCKET, KEY), spool).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLong { .. }), "{error:?}");
    far_end.abort();
}

#[tokio::test]
async fn what_is_not_allowed_is_named() {
    for (nth, bytes) in [(1, 10), (3, 350_000)] {
        let bench = Bench::holding(&fault("GetObject", nth, "access-denied"), &noise(bytes)).await;
        let error = bench.fetch().await.unwrap_err();
        let call = error.call().unwrap();
        assert_eq!((call.action, &call.sorted), ("s3:GetObject", &Sorted::Denied));
        bench.sandbox.stop().await;
    }
    let bench = Bench::new("").await;
    let error = bench.fetch().await.unwrap_err();
    assert!(matches!(error, StoreError::NoObject { .. }), "{error:?}");
    bench.sandbox.stop().await;
}

/// The object that is there is the zip of these entries, encrypted as it was asked for.
async fn check_held(bench: &Bench, entries: Vec<Entry>, what: &str) {
    let object = bench.object().unwrap_or_else(|| panic!("{what}: no object"));
    assert_eq!(
        object.traits.encryption,
        Encryption::Kms(KMS_KEY.to_owned()),
        "{what}"
    );
    assert_eq!(object.traits.headers["content-type"], "application/zip", "{what}");
    let zip = pack_into(entries, Vec::new()).unwrap();
    assert!(bench.held().await == zip, "{what}: not the zip");
}

#[tokio::test]
async fn a_short_zip_is_written_at_once_and_a_long_one_in_parts() {
    for (entries, expected) in [
        (short_entries(), &["PutObject", "HeadObject"][..]),
        (
            long_entries(),
            &[
                "CreateMultipartUpload",
                "UploadPart",
                "UploadPart",
                "CompleteMultipartUpload",
                "HeadObject",
            ],
        ),
    ] {
        let bench = Bench::new("").await;
        let stored = bench.store(entries.clone()).await.unwrap();
        assert_eq!(bench.asked(), expected);
        let bytes = bench.object().unwrap().size;
        assert_eq!(
            stored,
            Stored {
                place: PLACE.to_owned(),
                bytes
            }
        );
        check_held(&bench, entries, "").await;
        bench.sandbox.stop().await;
    }
}

#[tokio::test]
async fn each_request_of_a_write_may_fail_in_each_way_that_passes() {
    let short = (1..=2).flat_map(|nth| PASSING.map(|way| (short_entries as fn() -> _, nth, way)));
    let long = (1..=5).flat_map(|nth| PASSING.map(|way| (long_entries as fn() -> _, nth, way)));
    let ran = stream::iter(short.chain(long))
        .map(|(entries, nth, way)| async move {
            let what = format!("{nth} {way}");
            let bench = Bench::new(&fault("*", nth, way)).await;
            let stored = bench.store(entries()).await;
            assert!(stored.is_ok(), "{what}: {stored:?}");
            // Of an upload whose id was lost nobody can say that it is to be aborted; it has no parts.
            let is_begun_twice = bench.asked()[0] == "CreateMultipartUpload"
                && nth == 1
                && ["lost-answer", "cut-body"].contains(&way);
            assert_eq!(bench.uploads(), vec![0; usize::from(is_begun_twice)], "{what}");
            check_held(&bench, entries(), &what).await;
            bench.sandbox.stop().await;
        })
        .buffer_unordered(4)
        .count()
        .await;
    assert_eq!(ran, 63);
}

#[tokio::test]
async fn each_request_of_a_write_may_be_refused_and_nothing_is_left() {
    for (entries, nth, action) in [
        (short_entries as fn() -> Vec<Entry>, 1, "s3:PutObject"),
        (long_entries, 1, "s3:PutObject"),
        (long_entries, 2, "s3:PutObject"),
        (long_entries, 3, "s3:PutObject"),
        (long_entries, 4, "s3:PutObject"),
    ] {
        // Also when the clean-up goes wrong once.
        for clean_up in [
            "throttle",
            "refuse",
            "lost-answer",
            "expired-token",
            "access-denied",
        ] {
            let faults = fault("*", nth, "access-denied") + &fault("AbortMultipartUpload", 1, clean_up);
            let bench = Bench::new(&faults).await;
            let error = bench.store(entries()).await.unwrap_err();
            let call = error.call().unwrap();
            assert_eq!(
                (call.action, &call.sorted),
                (action, &Sorted::Denied),
                "{nth} {clean_up}"
            );
            assert!(bench.object().is_none(), "{nth} {clean_up}");
            bench.until_no_parts().await;
            bench.sandbox.stop().await;
        }
    }
}

#[tokio::test]
async fn keys_that_may_only_write_are_enough_where_s3_says_how_it_wrote() {
    for (entries, nth) in [(short_entries as fn() -> Vec<Entry>, 2), (long_entries, 5)] {
        let bench = Bench::new(&fault("*", nth, "access-denied")).await;
        bench.store(entries()).await.unwrap();
        check_held(&bench, entries(), "").await;
        bench.sandbox.stop().await;
    }
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_is_aborted() {
    let bench = Bench::new("").await;
    let bucket = bench.bucket();
    {
        let target = target(Some(KMS_KEY));
        let storing = store(&bucket, &target, long_entries());
        let begun = async {
            while bench.uploads().iter().all(|&parts| parts == 0) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = begun => {}
            stored = storing => panic!("{stored:?}"),
        }
    }
    bucket.aborted().await;
    assert_eq!(bench.uploads(), [0_usize; 0]);
    assert!(bench.object().is_none());
    bench.sandbox.stop().await;
}

#[tokio::test]
async fn entries_that_cannot_be_read_leave_nothing() {
    let gone = |name: &str| Entry {
        content: Content::File(PathBuf::from("/nonexistent/file")),
        ..entry(name, Vec::new())
    };
    for entries in [vec![gone("a")], [long_entries(), vec![gone("z")]].concat()] {
        let bench = Bench::new("").await;
        let error = bench.store(entries).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot pack what is to be written to `{PLACE}`")
        );
        assert!(bench.object().is_none() && bench.uploads().is_empty());
        bench.sandbox.stop().await;
    }
}

#[tokio::test]
async fn what_s3_does_not_hold_is_not_told_as_stored() {
    // A far end that says to have written, and holds nothing.
    let lies = "[[fault]]\nservice = \"s3\"\noperation = \"HeadObject\"\naction = \"http\"\nstatus = 404\n";
    let bench = Bench::new(lies).await;
    let error = bench.store(short_entries()).await.unwrap_err();
    assert!(error.call().is_some(), "{error:?}");
    bench.sandbox.stop().await;
}
