use super::{HOUR, Role, Sts};
use crate::sandbox::world::sessions::{Session, Sessions};
use std::collections::BTreeMap;
use std::time::Duration;

const NOW: Duration = Duration::from_secs(1_767_225_600);
const ROLE: &str = "arn:aws:iam::111111111111:role/ops/deployer";

fn assume(
    roles: &[Role],
    caller: Option<&Session>,
    pairs: &[(&str, &str)],
) -> Result<(String, Sessions), String> {
    let mut params: BTreeMap<String, String> = [("RoleArn", ROLE), ("RoleSessionName", "slipway")]
        .iter()
        .chain(pairs)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    params.retain(|_, value| value != "left out");
    let (sts, mut sessions) = (
        Sts {
            roles: roles.to_vec(),
        },
        Sessions::default(),
    );
    let answer = sts.call(NOW, "AssumeRole", &params, caller, &mut sessions);
    answer
        .map(|xml| (xml, sessions))
        .map_err(|error| error.to_string())
}

fn role() -> Role {
    Role {
        arn: ROLE.to_owned(),
        external_id: Some("our-secret".to_owned()),
        account: "000000000000".to_owned(),
        longest: HOUR,
    }
}

#[test]
fn a_role_is_assumed_in_its_account_for_as_long_as_was_asked() {
    let (xml, sessions) = assume(&[], None, &[("DurationSeconds", "900")]).unwrap();
    for part in [
        "<Arn>arn:aws:sts::111111111111:assumed-role/deployer/slipway</Arn>",
        "<Expiration>2026-01-01T00:15:00Z</Expiration>",
        "<AccessKeyId>ASIASANDBOX000000001</AccessKeyId>",
    ] {
        assert!(xml.contains(part), "{part} in {xml}");
    }
    let session = sessions.of_key("ASIASANDBOX000000001").unwrap();
    assert_eq!(session.ends, NOW + Duration::from_secs(900));
    let identity = super::caller_identity(Some(session));
    let id = xml.split("AssumedRoleId>").nth(1).unwrap().trim_end_matches("</");
    assert!(identity.contains(&format!("<UserId>{id}</UserId><Account>111111111111</Account>")));
    assert_eq!(super::role_id(&session.arn).len(), 21);
}

#[test]
fn a_role_trusts_whom_it_says() {
    let denied = "AccessDenied: User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: \
                  sts:AssumeRole on resource: arn:aws:iam::111111111111:role/ops/deployer";
    let knows = [("ExternalId", "our-secret")];
    assert!(assume(&[role()], None, &knows).is_ok());
    assert_eq!(assume(&[role()], None, &[]).unwrap_err(), denied);
    assert_eq!(
        assume(&[role()], None, &[("ExternalId", "other")]).unwrap_err(),
        denied
    );
    let elsewhere = Role {
        account: "222222222222".to_owned(),
        ..role()
    };
    assert_eq!(assume(&[elsewhere], None, &knows).unwrap_err(), denied);
    let other = Role {
        arn: "arn:aws:iam::111111111111:role/other".to_owned(),
        ..role()
    };
    assert!(assume(&[other], None, &[]).is_ok());
}

#[test]
fn a_session_of_a_role_is_in_the_role_s_account_and_chains_for_an_hour() {
    let (_, sessions) = assume(&[], None, &[]).unwrap();
    let caller = sessions.of_key("ASIASANDBOX000000001").unwrap();
    let inside = Role {
        account: "111111111111".to_owned(),
        longest: 43_200,
        external_id: None,
        ..role()
    };
    assert!(assume(std::slice::from_ref(&inside), Some(caller), &[]).is_ok());
    assert!(
        assume(&[role()], Some(caller), &[])
            .unwrap_err()
            .contains(&caller.arn)
    );
    assert_eq!(
        assume(&[inside], Some(caller), &[("DurationSeconds", "3601")]).unwrap_err(),
        "ValidationError: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role \
         chaining."
    );
}

#[test]
fn what_is_asked_wrongly_is_refused_in_the_words_of_aws() {
    let long = "x".repeat(65);
    for (name, value, says) in [
        (
            "RoleArn",
            "left out",
            "Value null at 'roleArn' failed to satisfy constraint: Member must not be null",
        ),
        (
            "RoleArn",
            "arn:aws:iam::111111111111:user/deployer",
            "arn:aws:iam::111111111111:user/deployer is invalid",
        ),
        (
            "RoleSessionName",
            "a b",
            "Member must satisfy regular expression pattern: [\\w+=,.@-]*",
        ),
        (
            "RoleSessionName",
            &long,
            "Member must have length less than or equal to 64",
        ),
        (
            "ExternalId",
            "x",
            "Member must have length greater than or equal to 2",
        ),
        (
            "DurationSeconds",
            "899",
            "Member must have value greater than or equal to 900",
        ),
        (
            "DurationSeconds",
            "43201",
            "Member must have value less than or equal to 43200",
        ),
        (
            "DurationSeconds",
            "3601",
            "exceeds the MaxSessionDuration set for this role",
        ),
        ("DurationSeconds", "long", "MalformedInput"),
        ("Policy", "{}", "does not know the parameter Policy of AssumeRole"),
    ] {
        let refused = assume(&[], None, &[(name, value)]).unwrap_err();
        assert!(refused.contains(says), "{name}={value}: {refused}");
    }
}
