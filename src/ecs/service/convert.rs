//! SDK types to our own; every word of the API goes through its text, so that none is lost or mistaken.

use crate::ecs::observation::{
    Attachment, Breaker, BreakerSetting, Container, Controller, Deployment, Health, MonitorStatus,
    RevisionCounts, Rollback, Service, ServiceDeployment, ServiceEvent, Strategy, Target, Task,
};
use aws_sdk_ecs::types as sdk;
use aws_sdk_elasticloadbalancingv2::types as elb;

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

pub(super) fn service(from: &sdk::Service) -> Service {
    let settings = from.deployment_configuration();
    let daemon = from.scheduling_strategy() == Some(&sdk::SchedulingStrategy::Daemon);
    let percent = |value: Option<i32>, default: u32| value.map_or(default, count);
    Service {
        status: from.status().unwrap_or_default().into(),
        controller: from
            .deployment_controller()
            .map_or(Controller::Ecs, |controller| controller.r#type().as_str().into()),
        strategy: settings
            .and_then(|settings| settings.strategy())
            .map_or(Strategy::Rolling, |strategy| strategy.as_str().into()),
        breaker: breaker_setting(settings),
        percent: (
            percent(
                settings.and_then(sdk::DeploymentConfiguration::minimum_healthy_percent),
                if daemon { 0 } else { 100 },
            ),
            percent(
                settings.and_then(sdk::DeploymentConfiguration::maximum_percent),
                if daemon { 100 } else { 200 },
            ),
        ),
        desired: count(from.desired_count()),
        running: count(from.running_count()),
        pending: count(from.pending_count()),
        task_definition: text(from.task_definition()),
        deployments: from.deployments().iter().map(deployment).collect(),
        events: from.events().iter().map(event).collect(),
        current_service_deployment: from.current_service_deployment().map(str::to_owned),
        load_balancers: from.load_balancers().iter().filter_map(attachment).collect(),
    }
}

fn breaker_setting(settings: Option<&sdk::DeploymentConfiguration>) -> BreakerSetting {
    let breaker = settings.and_then(|settings| settings.deployment_circuit_breaker());
    let alarms = settings.and_then(|settings| settings.alarms());
    let rolls_back = breaker.is_some_and(|breaker| breaker.enable() && breaker.rollback())
        || alarms.is_some_and(|alarms| alarms.enable() && alarms.rollback());
    match (
        rolls_back,
        breaker.is_some_and(sdk::DeploymentCircuitBreaker::enable),
    ) {
        (true, _) => BreakerSetting::RollsBack,
        (false, true) => BreakerSetting::On,
        (false, false) => BreakerSetting::Off,
    }
}

fn attachment(from: &sdk::LoadBalancer) -> Option<Attachment> {
    Some(Attachment {
        target_group: from.target_group_arn()?.to_owned(),
        container: text(from.container_name()),
        port: from.container_port().and_then(|port| u16::try_from(port).ok()),
    })
}

fn deployment(from: &sdk::Deployment) -> Deployment {
    Deployment {
        id: text(from.id()),
        status: from.status().unwrap_or_default().into(),
        rollout: from.rollout_state().map(|state| state.as_str().into()),
        reason: from.rollout_state_reason().map(str::to_owned),
        desired: count(from.desired_count()),
        running: count(from.running_count()),
        pending: count(from.pending_count()),
        failed: count(from.failed_tasks()),
        task_definition: text(from.task_definition()),
    }
}

fn event(from: &sdk::ServiceEvent) -> ServiceEvent {
    ServiceEvent {
        id: text(from.id()),
        message: text(from.message()),
    }
}

pub(super) fn service_deployment(from: &sdk::ServiceDeployment) -> ServiceDeployment {
    let alarms = from
        .alarms()
        .map(|alarms| alarms.triggered_alarm_names().to_vec());
    ServiceDeployment {
        arn: text(from.service_deployment_arn()),
        status: from.status().map_or("", |status| status.as_str()).into(),
        reason: from.status_reason().map(str::to_owned),
        target: from.target_service_revision().map(|target| RevisionCounts {
            arn: text(target.arn()),
            requested: count(target.requested_task_count()),
            running: count(target.running_task_count()),
            pending: count(target.pending_task_count()),
        }),
        rollback: from.rollback().map(|rollback| Rollback {
            reason: rollback.reason().map(str::to_owned),
            revision: rollback.service_revision_arn().map(str::to_owned),
        }),
        breaker: from.deployment_circuit_breaker().map(|breaker| Breaker {
            status: breaker.status().map_or_else(
                || MonitorStatus::Unrecognised(String::new()),
                |status| status.as_str().into(),
            ),
            failures: count(breaker.failure_count()),
            threshold: count(breaker.threshold()),
        }),
        triggered_alarms: alarms.unwrap_or_default(),
        stage: from.lifecycle_stage().map(|stage| stage.as_str().to_owned()),
    }
}

pub(super) fn task(from: &sdk::Task) -> Task {
    Task {
        id: text(from.task_arn().and_then(|arn| arn.rsplit('/').next())),
        status: from.last_status().unwrap_or_default().into(),
        stopping: from.desired_status() == Some("STOPPED"),
        health: health(from.health_status()),
        address: address(from),
        containers: from.containers().iter().map(container).collect(),
        stop_code: from.stop_code().map(|code| code.as_str().into()),
        stopped_reason: from.stopped_reason().map(str::to_owned),
    }
}

fn health(from: Option<&sdk::HealthStatus>) -> Health {
    from.map_or(Health::Unknown, |health| health.as_str().into())
}

/// The private address of an `awsvpc` task: containers list it, and so does the task's network interface.
fn address(from: &sdk::Task) -> Option<String> {
    let of_containers = from
        .containers()
        .iter()
        .flat_map(sdk::Container::network_interfaces)
        .find_map(|interface| interface.private_ipv4_address());
    let of_task = || {
        from.attachments()
            .iter()
            .flat_map(sdk::Attachment::details)
            .find(|detail| detail.name() == Some("privateIPv4Address"))
            .and_then(sdk::KeyValuePair::value)
    };
    of_containers.or_else(of_task).map(str::to_owned)
}

fn container(from: &sdk::Container) -> Container {
    Container {
        name: text(from.name()),
        health: health(from.health_status()),
        digest: from.image_digest().and_then(|digest| digest.parse().ok()),
        exit_code: from.exit_code(),
        reason: from.reason().map(str::to_owned),
    }
}

pub(super) fn target(from: &elb::TargetHealthDescription) -> Target {
    let described = from.target();
    let health = from.target_health();
    Target {
        id: text(described.and_then(|target| target.id())),
        port: described
            .and_then(elb::TargetDescription::port)
            .and_then(|port| u16::try_from(port).ok()),
        state: health
            .and_then(|health| health.state())
            .map_or("", |state| state.as_str())
            .into(),
        reason: health
            .and_then(|health| health.reason())
            .map(|reason| reason.as_str().to_owned()),
        description: health.and_then(|health| health.description()).map(str::to_owned),
    }
}
