//! Texts that CodePipeline takes, whatever they are made of.

use super::fit::fit;
use super::{
    Details, Ending, FailureReport, FailureType, LONGEST_EXTERNAL, LONGEST_MESSAGE, LONGEST_SUMMARY,
    LONGEST_TOKEN, MOST_VARIABLES, Outcome, Variables, Whose,
};
use crate::failure::{Denial, Failure, Kind, Nature};
use crate::secret::Secret;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io;

fn denied() -> Nature {
    Nature::denied("s3:GetObject")
}

fn told(failure: &Failure) -> FailureReport {
    FailureReport::of(failure, Whose::Worker, &[])
}

/// However a far end counts characters.
fn lengths(text: &str) -> [usize; 3] {
    [text.len(), text.encode_utf16().count(), text.chars().count()]
}

fn is_taken(text: &str, most: usize) -> bool {
    lengths(text).iter().all(|length| (1..=most).contains(length)) && !text.chars().any(char::is_control)
}

#[test]
fn every_failure_sends_its_reader_to_the_right_place() {
    use FailureType::{
        ConfigurationError, JobFailed, PermissionError, RevisionUnavailable, SystemUnavailable,
    };
    for (kind, plain) in [
        (Kind::Usage, ConfigurationError),
        (Kind::Input, ConfigurationError),
        (Kind::Build, JobFailed),
        (Kind::Registry, JobFailed),
        (Kind::Refused, ConfigurationError),
        (Kind::RolloutFailed, JobFailed),
        (Kind::RolledBack, JobFailed),
        (Kind::Superseded, JobFailed),
        (Kind::Deadline, JobFailed),
        (Kind::Unclear, JobFailed),
        (Kind::Gate, JobFailed),
        (Kind::FarEnd, SystemUnavailable),
        (Kind::Bug, JobFailed),
        (Kind::Interrupted, JobFailed),
        (Kind::Terminated, JobFailed),
    ] {
        let of = |nature| told(&Failure::new(kind, "x").nature(nature)).kind;
        assert_eq!(of(Nature::Plain), plain, "{kind:?}");
        assert_eq!(of(denied()), PermissionError, "{kind:?}");
        assert_eq!(of(Nature::Credentials), PermissionError, "{kind:?}");
        assert_eq!(of(Nature::FarEnd), SystemUnavailable, "{kind:?}");
        let overtaken = if plain == SystemUnavailable {
            plain
        } else {
            JobFailed
        };
        assert_eq!(of(Nature::Overtaken), overtaken, "{kind:?}");
        let missing = if kind == Kind::Input {
            RevisionUnavailable
        } else {
            plain
        };
        assert_eq!(of(Nature::Missing), missing, "{kind:?}");
    }
}

#[test]
fn a_denial_names_whose_role_it_was_and_the_action() {
    let failure = Failure::new(Kind::Input, "cannot read `s3://b/k`").nature(denied());
    for (whose, expected) in [
        (
            Whose::Pipeline,
            "role: either the object is not there, or the pipeline's role may not do `s3:GetObject`, or `kms:Decrypt` with \
             its key: its policy, the bucket's and the KMS key's decide, and not the worker's role",
        ),
        (
            Whose::Worker,
            "role: either the object is not there, or the worker's role may not do `s3:GetObject`, or `kms:Decrypt` with \
             its key",
        ),
    ] {
        let report = FailureReport::of(&failure, whose, &[]);
        assert!(report.message.ends_with(expected), "{}", report.message);
    }
    let refused = Failure::new(Kind::Refused, "cannot verify `s3://b/k`").nature(denied());
    for (whose, expected) in [
        (
            Whose::Pipeline,
            "role: the pipeline's role may not do `s3:GetObject`: its policy",
        ),
        (Whose::Worker, "role: the worker's role may not do `s3:GetObject`"),
        (
            Whose::Assumed("arn:aws:iam::111122223333:role/deployer"),
            "role: role `arn:aws:iam::111122223333:role/deployer` may not do `s3:GetObject`",
        ),
    ] {
        let report = FailureReport::of(&refused, whose, &[]);
        assert!(report.message.contains(expected), "{}", report.message);
    }
    let assumed =
        Failure::new(Kind::Refused, "cannot update the service").nature(Nature::Denied(Box::new(Denial {
            action: "ecs:UpdateService".to_owned(),
            role: Some("arn:aws:iam::111122223333:role/deployer".to_owned()),
        })));
    for whose in [Whose::Worker, Whose::Pipeline] {
        let message = FailureReport::of(&assumed, whose, &[]).message;
        assert_eq!(
            message,
            "error: cannot update the service; role: role `arn:aws:iam::111122223333:role/deployer` may not do \
             `ecs:UpdateService`"
        );
    }
    let expired = failure.nature(Nature::Credentials);
    let report = FailureReport::of(&expired, Whose::Pipeline, &[]);
    assert!(
        report
            .message
            .contains("credentials of the pipeline's role are not accepted")
    );
}

#[test]
fn a_failure_is_told_in_the_order_of_a_terminal() {
    let mut failure = Failure::new(Kind::RolledBack, "service `shop` did not become healthy")
        .cause("container `web` exited\nwith code 137")
        .evidence([
            "task 1: out of memory".to_owned(),
            "task 2: \u{1b}[31mthe same".to_owned(),
        ])
        .place("cluster `prod`")
        .left("`shop:41` serves")
        .hint("give it more memory")
        .hint("or less to do");
    failure.others = vec!["proven: `api`".to_owned()];
    assert_eq!(
        told(&failure).message,
        "error: service `shop` did not become healthy; cause: container `web` exited | with code 137; evidence: task 1: \
         out of memory | task 2: the same; where: cluster `prod`; left: `shop:41` serves; others: proven: `api`; hint: \
         give it more memory | or less to do"
    );
    let chained = Failure::new(Kind::FarEnd, "no deploy").because(io::Error::other("refused"));
    assert_eq!(told(&chained).message, "error: no deploy; cause: refused");
}

#[test]
fn of_a_long_failure_every_field_keeps_its_beginning_and_its_end() {
    let long = |name: &str| format!("<{name} {} {name}>", "x".repeat(4000));
    let mut failure = Failure::new(Kind::Build, long("what"))
        .cause(long("why"))
        .evidence((0..500).map(|line| format!("line {line}")))
        .place(long("where"))
        .left(long("left"))
        .nature(denied())
        .hint(long("hint"));
    failure.others = vec![long("others")];
    let report = told(&failure);
    assert!(is_taken(&report.message, LONGEST_MESSAGE));
    for name in ["what", "why", "where", "left", "hint", "others"] {
        for end in [format!("<{name} "), format!(" {name}>")] {
            assert!(report.message.contains(&end), "{end}: {}", report.message);
        }
    }
    for kept in [
        "line 0 |",
        "line 499;",
        "characters left out ...]",
        "s3:GetObject",
    ] {
        assert!(report.message.contains(kept), "{kept}: {}", report.message);
    }
}

#[test]
fn a_short_failure_leaves_its_room_to_the_evidence() {
    let lines = (0..2000).map(|line| format!("line {line}"));
    let report = told(
        &Failure::new(Kind::Build, "x")
            .cause("y")
            .evidence(lines)
            .hint("z"),
    );
    assert!(
        report.message.len() > LONGEST_MESSAGE - 60,
        "{}",
        report.message.len()
    );
    assert!(
        report
            .message
            .starts_with("error: x; cause: y; evidence: line 0 | ")
    );
    assert!(report.message.ends_with("line 1999; hint: z"));
}

#[test]
fn no_secret_is_shown_and_no_half_of_one() {
    let secret = "canary-".repeat(40);
    let secrets = [Secret::new(secret.clone())];
    let log = format!("{}{secret}{}", "x".repeat(2600), "y".repeat(4000));
    let failure = Failure::new(Kind::Build, format!("built with {secret}"))
        .cause("password=hunter2canary")
        .evidence([log]);
    let report = FailureReport::of(&failure, Whose::Worker, &secrets);
    assert!(!report.message.contains("canary"), "{}", report.message);
    assert!(report.message.contains("[secret]"));
}

#[test]
fn nothing_to_say_is_still_a_message() {
    for empty in ["", " \n\t", "\u{1b}[31m\u{202e}\0"] {
        let report = FailureReport::new(FailureType::JobFailed, empty).external(Some(empty.to_owned()));
        assert!(is_taken(&report.message, LONGEST_MESSAGE));
        assert_eq!(report.external, None);
        let details = Details {
            summary: Some(empty.to_owned()),
            external: Some(empty.to_owned()),
            percent: Some(200),
        };
        let fitted = details.fitted();
        assert_eq!(
            (fitted.summary, fitted.external, fitted.percent),
            (None, None, Some(100))
        );
    }
}

#[test]
fn variables_that_do_not_fit_are_left_out_longest_first_and_told() {
    let variables = |pairs: &[(&str, String)]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Variables(pairs.collect())
    };
    let long = |length| "v".repeat(length);
    let given = [
        ("image", long(100)),
        ("log", long(60_000)),
        ("report", long(60_000)),
        ("small", long(50_000)),
    ];
    let (fitted, notes) = variables(&given).fitted();
    assert_eq!(fitted.0.keys().collect::<Vec<_>>(), ["image", "log", "small"]);
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].contains("`report`") && notes[0].contains("60000"),
        "{}",
        notes[0]
    );
    let (fitted, notes) =
        variables(&[("a.b", "dot".into()), ("a_b", "right".into()), ("", "x".into())]).fitted();
    assert_eq!(fitted.0, BTreeMap::from([("a_b".to_owned(), "right".to_owned())]));
    assert_eq!(notes.len(), 2);
    let (fitted, notes) = variables(&[("a b\u{fc}", "x\ny".into()), ("ok@-_9", String::new())]).fitted();
    let expected = [("a_b_", "x | y"), ("ok@-_9", "")];
    assert!(
        fitted
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .eq(expected)
    );
    assert_eq!(notes.len(), 1);
}

#[test]
fn each_refusal_leaves_less_to_be_refused_and_a_result_in_the_end() {
    let details = Details {
        summary: Some("done".to_owned()),
        ..Details::default()
    };
    let variables = Variables(BTreeMap::from([("image".to_owned(), "x".to_owned())]));
    let steps = |ending: Ending| {
        let mut steps = vec![ending];
        while let Some(lesser) = steps.last().and_then(Ending::lesser) {
            steps.push(lesser);
            assert!(steps.len() < 6);
        }
        steps
    };
    let whole = Ending::Success(Outcome::Final(details.clone(), variables.clone()));
    let least = Ending::Success(Outcome::Final(Details::default(), Variables::default()));
    let all = steps(whole.clone());
    assert_eq!((all.len(), all.last()), (3, Some(&least)));
    let without = whole.without_variables().unwrap();
    assert_eq!(
        without,
        Ending::Success(Outcome::Final(details.clone(), Variables::default()))
    );
    assert_eq!(without.without_variables(), None);
    let handed = steps(Ending::Success(Outcome::Again("token".to_owned(), details)));
    assert!(matches!(&handed[1], Ending::Success(Outcome::Again(token, _)) if token == "token"));
    assert!(matches!(&handed[2], Ending::Failure(_)));
    let failed = steps(Ending::Failure(FailureReport::new(
        FailureType::PermissionError,
        "long story",
    )));
    assert_eq!(failed.len(), 2);
    assert!(matches!(&failed[1], Ending::Failure(least) if least.kind == FailureType::PermissionError));
}

#[test]
fn a_token_that_does_not_fit_is_a_failure_and_never_cut() {
    for bad in [String::new(), "t".repeat(LONGEST_TOKEN + 1), "a\nb".to_owned()] {
        let ending = Ending::Success(Outcome::Again(bad, Details::default())).fitted();
        assert!(matches!(ending, Ending::Failure(_)));
    }
    let good = Ending::Success(Outcome::Again("t".repeat(LONGEST_TOKEN), Details::default()));
    assert_eq!(good.clone().fitted(), good);
}

proptest! {
    #[test]
    fn whatever_is_said_is_taken(what in ".{0,400}", why in any::<String>(), times in 1usize..60) {
        let failure = Failure::new(Kind::Build, what.repeat(times))
            .cause(why.repeat(times))
            .evidence([why.clone(), what.repeat(times)])
            .hint(why.clone());
        let report = told(&failure).external(Some(why.repeat(times)));
        prop_assert!(is_taken(&report.message, LONGEST_MESSAGE), "{:?}", report.message);
        if let Some(external) = &report.external {
            prop_assert!(is_taken(external, LONGEST_EXTERNAL));
        }
        prop_assert_eq!(report.clone().fitted(), report);
        let summary = Some(what.repeat(times));
        let details = Details { summary, ..Details::default() }.fitted();
        if let Some(summary) = &details.summary {
            prop_assert!(is_taken(summary, LONGEST_SUMMARY));
        }
        prop_assert_eq!(details.clone().fitted(), details);
    }

    #[test]
    fn what_is_cut_keeps_its_ends_and_says_how_much_is_gone(
        text in "[a-z\u{e9}\u{1f980}]{0,300}",
        most in 1usize..400,
    ) {
        let fitted = fit(&text, most);
        prop_assert!(fitted.len() <= most);
        if text.len() <= most {
            prop_assert_eq!(fitted, text);
        } else if let Some((head, rest)) = fitted.split_once(" [... ") {
            let (left_out, tail) = rest.split_once(" characters left out ...] ").unwrap();
            prop_assert!(text.starts_with(head) && text.ends_with(tail));
            let kept = head.chars().count() + tail.chars().count();
            prop_assert_eq!(left_out.parse::<usize>().unwrap(), text.chars().count() - kept);
        } else {
            prop_assert!(text.starts_with(&fitted) && most < 96);
        }
    }

    #[test]
    fn variables_always_fit(
        pairs in prop::collection::btree_map(any::<String>(), any::<String>(), 0..12),
        times in 1usize..800,
    ) {
        let given: BTreeMap<String, String> =
            pairs.into_iter().map(|(name, value)| (name, value.repeat(times))).collect();
        let count = given.len();
        let (fitted, notes) = Variables(given).fitted();
        let bytes: usize = fitted.0.iter().map(|(name, value)| name.len() + value.len()).sum();
        prop_assert!(bytes <= MOST_VARIABLES && fitted.0.len() + notes.len() >= count);
        for name in fitted.0.keys() {
            prop_assert!(!name.is_empty());
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "@-_".contains(c)));
        }
        prop_assert_eq!(fitted.clone().fitted(), (fitted, Vec::new()));
    }
}
