//! Finding endpoints and credentials on real files.

use super::{Address, EndpointError, EngineEnv, locate, registry_auth};
use crate::name::Digest;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn env_in(folder: &Path) -> EngineEnv {
    EngineEnv {
        config_dir: Some(folder.to_owned()),
        ..EngineEnv::default()
    }
}

fn write_context(folder: &Path, name: &str, host: &str) -> String {
    let id = Digest::of(name.as_bytes()).hex().to_owned();
    let meta = folder.join("contexts/meta").join(&id);
    fs::create_dir_all(&meta).unwrap();
    let text = format!(r#"{{"Name":"{name}","Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
    fs::write(meta.join("meta.json"), text).unwrap();
    id
}

#[test]
fn a_context_is_found_by_the_hash_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    write_context(folder.path(), "work", "unix:///tmp/work.sock");
    fs::write(folder.path().join("config.json"), r#"{"currentContext":"work"}"#).unwrap();
    let endpoint = locate(&env_in(folder.path())).unwrap();
    assert_eq!(endpoint.address, Address::Unix("/tmp/work.sock".into()));
    let missing = EngineEnv {
        context: Some("gone".to_owned()),
        ..env_in(folder.path())
    };
    assert!(matches!(locate(&missing), Err(EndpointError::NoContext { name, .. }) if name == "gone"));
}

#[test]
fn a_contexts_tls_files_lie_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let id = write_context(folder.path(), "far", "tcp://engine:2376");
    let tls = folder.path().join("contexts/tls").join(id).join("docker");
    fs::create_dir_all(&tls).unwrap();
    for (name, content) in [("ca.pem", "ca"), ("cert.pem", "cert"), ("key.pem", "canary")] {
        fs::write(tls.join(name), content).unwrap();
    }
    let env = EngineEnv {
        context: Some("far".to_owned()),
        ..env_in(folder.path())
    };
    let found = locate(&env).unwrap().tls.unwrap();
    assert_eq!(found.ca, b"ca");
    assert!(found.client.is_some());
    assert!(!format!("{found:?}").contains("99, 97, 110"));
}

#[test]
fn the_environment_switches_tls_on_for_tcp_only() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), "ca").unwrap();
    let env = |host: &str, verify: &str| EngineEnv {
        host: Some(host.to_owned()),
        tls_verify: Some(verify.to_owned()),
        cert_path: Some(folder.path().to_owned()),
        ..EngineEnv::default()
    };
    for (host, verify, tls) in [
        ("tcp://engine:2376", "1", true),
        ("tcp://engine:2375", "", false),
        ("https://engine:2376", "", true),
        ("unix:///x.sock", "1", false),
    ] {
        assert_eq!(
            locate(&env(host, verify)).unwrap().tls.is_some(),
            tls,
            "{host} {verify}"
        );
    }
    fs::remove_file(folder.path().join("ca.pem")).unwrap();
    assert!(matches!(
        locate(&env("tcp://engine:2376", "1")),
        Err(EndpointError::ReadFile { path, .. }) if path.ends_with("ca.pem")
    ));
}

#[test]
fn a_broken_configuration_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), "{").unwrap();
    assert!(matches!(
        locate(&env_in(folder.path())),
        Err(EndpointError::BadConfig { .. })
    ));
}

#[tokio::test]
async fn a_credential_helper_gets_the_registry_on_its_stdin() {
    let folder = tempfile::tempdir().unwrap();
    let helper = folder.path().join("helper");
    fs::write(
        &helper,
        "#!/bin/sh\nread -r server\nprintf '{\"Username\":\"%s\",\"Secret\":\"s:%s\"}' \"$1\" \"$server\"\n",
    )
    .unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let auth = super::ask_helper(helper.to_str().unwrap(), "registry.example.com\n")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(auth.username, "get");
    assert_eq!(auth.password.expose(), "s:registry.example.com");
}

#[tokio::test]
async fn a_missing_helper_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"{"credHelpers":{"r.example.com":"slipway-has-none"}}"#;
    fs::write(folder.path().join("config.json"), config).unwrap();
    let error = registry_auth(&env_in(folder.path()), "r.example.com")
        .await
        .unwrap_err();
    assert!(
        matches!(&error, EndpointError::RunHelper { helper, .. } if helper == "docker-credential-slipway-has-none"),
        "{error:?}"
    );
}
