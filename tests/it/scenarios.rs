//! What a scenario can script, seen through the wire: acts of somebody else, answers gone wrong, quotas.

use crate::support::{Bench, Setup};
use slipway::failure::Kind;

#[tokio::test]
async fn somebody_elses_update_supersedes_ours_and_no_request_shows_it() {
    let act = "[[act]]\nservice = \"shop\"\nafter-seconds = 30\nact = \"update\"\ntask-definition = \"shop:1\"\nforce = true";
    let bench = Bench::with_service(act, Setup::default()).await;
    let failure = bench.deploy(&bench.version_two()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Superseded, "{}", Bench::rendered(&failure));
    assert_eq!(bench.revision().await, "shop:1");
    let asked = bench.journal();
    let updates = asked.iter().filter(|one| *one == "ecs:UpdateService").count();
    assert_eq!(updates, 1, "{asked:?}");
}

#[tokio::test]
async fn a_service_deployment_that_somebody_stops_is_no_success() {
    let act = "[[act]]\nservice = \"shop\"\nafter-seconds = 30\nact = \"stop-deployment\"";
    let bench = Bench::with_service(act, Setup::default()).await;
    let failure = bench.deploy(&bench.version_two()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::RolledBack, "{}", Bench::rendered(&failure));
    assert_eq!(bench.revision().await, "shop:1");
}
