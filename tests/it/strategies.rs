//! Blue/green and canary deployments over the wire, driven by the official SDK; the journal is for the referees.

use crate::sandbox_support::{REGION, config, start};
use crate::support::task_definition;
use aws_sdk_ecs::types::{
    AdvancedConfiguration, AwsVpcConfiguration, CanaryConfiguration, DeploymentAlarms,
    DeploymentConfiguration, DeploymentLifecycleHook, DeploymentLifecycleHookAction,
    DeploymentLifecycleHookStage, DeploymentLifecycleHookStatus, DeploymentLifecycleHookTargetType,
    DeploymentStrategy, LaunchType, LoadBalancer, NetworkConfiguration, ServiceDeployment,
    ServiceDeploymentLifecycleStage,
};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, ProtocolEnum, RuleCondition, TargetGroupTuple,
    TargetTypeEnum,
};
use slipway::sandbox::server::Sandbox;
use slipway::shutdown::Shutdown;
use std::time::Duration;

const CLUSTER: &str = "prod";
const SERVICE: &str = "shop";

/// A sandbox with a cluster and two revisions of a task definition, and clients for it.
struct Wire {
    sandbox: Sandbox,
    ecs: aws_sdk_ecs::Client,
    elb: aws_sdk_elasticloadbalancingv2::Client,
}

/// The target groups and rules of a load balancer.
struct Front {
    groups: [String; 2],
    rules: [String; 2],
}

impl Wire {
    async fn new(scenario: &str) -> Self {
        let sandbox = start(scenario).await;
        let config = config(&sandbox, REGION);
        let wire = Self {
            ecs: aws_sdk_ecs::Client::new(&config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            sandbox,
        };
        wire.ecs
            .create_cluster()
            .cluster_name(CLUSTER)
            .send()
            .await
            .unwrap();
        wire
    }

    /// Registers the next revision, past the wire: the SDK has no way to send a JSON document as it is.
    fn register(&self, image: &str) {
        let mut definition = task_definition("shop", image);
        let container = definition["containerDefinitions"][0].as_object_mut().unwrap();
        container.remove("logConfiguration");
        let answer = self.sandbox.world().visit(|world, now| {
            world.ecs.call(
                now,
                "RegisterTaskDefinition",
                &definition,
                &mut world.elb,
                &world.ecr,
            )
        });
        answer.unwrap();
    }

    async fn pass(&self, seconds: u64) {
        let clock = self.sandbox.world().clock().clone();
        let _ = clock
            .pause(Duration::from_secs(seconds), &Shutdown::never())
            .await;
    }

    async fn front(&self) -> Front {
        let balancer = self.elb.create_load_balancer().name("front");
        let made = balancer
            .subnets("subnet-1")
            .subnets("subnet-2")
            .send()
            .await
            .unwrap();
        let balancer = made.load_balancers()[0].load_balancer_arn().unwrap().to_owned();
        let mut groups = Vec::new();
        for name in ["blue", "green"] {
            let call = self.elb.create_target_group().name(name).vpc_id("vpc-1");
            let call = call.protocol(ProtocolEnum::Http).port(8080);
            let made = call.target_type(TargetTypeEnum::Ip).send().await.unwrap();
            groups.push(made.target_groups()[0].target_group_arn().unwrap().to_owned());
        }
        let mut rules = Vec::new();
        for port in [9080, 9081] {
            let default = forward(&[(&groups[0], 1)]);
            let call = self.elb.create_listener().load_balancer_arn(&balancer).port(port);
            let call = call.protocol(ProtocolEnum::Http).default_actions(default);
            let made = call.send().await.unwrap();
            let listener = made.listeners()[0].listener_arn().unwrap();
            let all = RuleCondition::builder()
                .field("path-pattern")
                .values("/*")
                .build();
            let call = self
                .elb
                .create_rule()
                .listener_arn(listener)
                .priority(1)
                .conditions(all);
            let made = call
                .actions(forward(&[(&groups[0], 1), (&groups[1], 0)]))
                .send()
                .await
                .unwrap();
            rules.push(made.rules()[0].rule_arn().unwrap().to_owned());
            let known = self
                .elb
                .describe_rules()
                .listener_arn(listener)
                .send()
                .await
                .unwrap();
            assert_eq!(known.rules().len(), 2, "the default rule as well");
        }
        Front {
            groups: groups.try_into().unwrap(),
            rules: rules.try_into().unwrap(),
        }
    }

    async fn create(&self, configuration: DeploymentConfiguration, balancer: Option<LoadBalancer>) {
        let vpc = AwsVpcConfiguration::builder()
            .subnets("subnet-1")
            .build()
            .unwrap();
        let network = NetworkConfiguration::builder().awsvpc_configuration(vpc).build();
        self.ecs
            .create_service()
            .cluster(CLUSTER)
            .service_name(SERVICE)
            .task_definition("shop")
            .desired_count(2)
            .launch_type(LaunchType::Fargate)
            .network_configuration(network)
            .deployment_configuration(configuration)
            .set_load_balancers(balancer.map(|one| vec![one]))
            .send()
            .await
            .unwrap();
    }

    async fn update(&self, configuration: DeploymentConfiguration) {
        let call = self.ecs.update_service().cluster(CLUSTER).service(SERVICE);
        let call = call
            .task_definition("shop")
            .deployment_configuration(configuration);
        call.send().await.unwrap();
    }

    /// The newest service deployment.
    async fn newest(&self) -> ServiceDeployment {
        let listed = self
            .ecs
            .list_service_deployments()
            .cluster(CLUSTER)
            .service(SERVICE);
        let listed = listed.send().await.unwrap();
        let arn = listed.service_deployments()[0].service_deployment_arn().unwrap();
        let described = self
            .ecs
            .describe_service_deployments()
            .service_deployment_arns(arn);
        described.send().await.unwrap().service_deployments()[0].clone()
    }

    /// Lets time pass until the newest service deployment is in one of these statuses or stages, and gives it.
    async fn pass_to(&self, wanted: &str) -> ServiceDeployment {
        for _ in 0..600 {
            let record = self.newest().await;
            let stage = record
                .lifecycle_stage()
                .map(ServiceDeploymentLifecycleStage::as_str);
            if record.status().unwrap().as_str() == wanted || stage == Some(wanted) {
                return record;
            }
            self.pass(5).await;
        }
        panic!("{wanted} was not reached: {:?}", self.newest().await);
    }
}

fn forward(groups: &[(&String, i32)]) -> Action {
    let mut config = ForwardActionConfig::builder();
    for (group, weight) in groups {
        let tuple = TargetGroupTuple::builder()
            .target_group_arn(*group)
            .weight(*weight);
        config = config.target_groups(tuple.build());
    }
    let action = Action::builder().r#type(ActionTypeEnum::Forward);
    action.forward_config(config.build()).build()
}

#[tokio::test]
async fn a_blue_green_deployment_pauses_and_goes_on_over_the_wire() {
    let wire = Wire::new("").await;
    let front = wire.front().await;
    wire.register("registry.example/shop/web:1");
    let blue_green = || {
        DeploymentConfiguration::builder()
            .strategy(DeploymentStrategy::BlueGreen)
            .bake_time_in_minutes(2)
    };
    let settings = AdvancedConfiguration::builder()
        .alternate_target_group_arn(&front.groups[1])
        .production_listener_rule(&front.rules[0])
        .test_listener_rule(&front.rules[1])
        .role_arn("arn:aws:iam::000000000000:role/ecs");
    let balancer = LoadBalancer::builder()
        .target_group_arn(&front.groups[0])
        .container_name("web")
        .container_port(8080)
        .advanced_configuration(settings.build());
    wire.create(blue_green().build(), Some(balancer.build())).await;
    wire.pass_to("SUCCESSFUL").await;

    wire.register("registry.example/shop/web:2");
    let function = DeploymentLifecycleHook::builder()
        .hook_target_arn("arn:aws:lambda:eu-west-1:000000000000:function:smoke-test")
        .role_arn("arn:aws:iam::000000000000:role/hooks")
        .lifecycle_stages(DeploymentLifecycleHookStage::PostScaleUp);
    let pause = DeploymentLifecycleHook::builder()
        .target_type(DeploymentLifecycleHookTargetType::Pause)
        .lifecycle_stages(DeploymentLifecycleHookStage::PostTestTrafficShift);
    let hooked = blue_green()
        .lifecycle_hooks(function.build())
        .lifecycle_hooks(pause.build());
    wire.update(hooked.build()).await;
    let record = wire.pass_to("POST_SCALE_UP").await;
    let hook = &record.lifecycle_hook_details()[0];
    assert_eq!(hook.status(), Some(&DeploymentLifecycleHookStatus::InProgress));
    let record = wire.pass_to("POST_TEST_TRAFFIC_SHIFT").await;
    let hook = &record.lifecycle_hook_details()[0];
    assert_eq!(
        hook.status(),
        Some(&DeploymentLifecycleHookStatus::AwaitingAction)
    );
    let call = wire.ecs.continue_service_deployment();
    let call = call.service_deployment_arn(record.service_deployment_arn().unwrap());
    let call = call.hook_id(hook.hook_id().unwrap());
    let answer = call
        .action(DeploymentLifecycleHookAction::Continue)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.service_deployment_arn(), record.service_deployment_arn());

    let record = wire.pass_to("BAKE_TIME").await;
    let weight = record
        .target_service_revision()
        .unwrap()
        .requested_production_traffic_weight();
    assert_eq!(weight, Some(100.0));
    let described = wire.ecs.describe_services().cluster(CLUSTER).services(SERVICE);
    let described = described.send().await.unwrap();
    assert_eq!(
        (
            described.services()[0].desired_count(),
            described.services()[0].running_count()
        ),
        (2, 4)
    );
    assert_eq!(described.services()[0].deployments().len(), 2);
    let rules = wire
        .elb
        .describe_rules()
        .rule_arns(&front.rules[0])
        .send()
        .await
        .unwrap();
    let action = &rules.rules()[0].actions()[0];
    let tuples = action.forward_config().unwrap().target_groups();
    let weights: Vec<Option<i32>> = tuples.iter().map(TargetGroupTuple::weight).collect();
    assert_eq!(weights, [Some(0), Some(100)]);

    let record = wire.pass_to("SUCCESSFUL").await;
    let revision = record.target_service_revision().unwrap().arn().unwrap();
    let asked = wire
        .ecs
        .describe_service_revisions()
        .service_revision_arns(revision);
    let revisions = asked.send().await.unwrap();
    let resolved = revisions.service_revisions()[0].resolved_configuration().unwrap();
    assert_eq!(
        resolved.load_balancers()[0].target_group_arn(),
        Some(front.groups[1].as_str())
    );
    wire.sandbox.stop().await;
}

#[tokio::test]
async fn a_canary_goes_back_when_its_alarm_goes_off_over_the_wire() {
    let wire = Wire::new("").await;
    wire.register("registry.example/shop/web:1");
    let canary = CanaryConfiguration::builder()
        .canary_percent(12.5)
        .canary_bake_time_in_minutes(30);
    let alarms = DeploymentAlarms::builder()
        .alarm_names("shop-5xx")
        .enable(true)
        .rollback(true);
    let configuration = DeploymentConfiguration::builder()
        .strategy(DeploymentStrategy::Canary)
        .bake_time_in_minutes(1)
        .canary_configuration(canary.build())
        .alarms(alarms.build().unwrap())
        .build();
    wire.create(configuration.clone(), None).await;
    wire.pass_to("SUCCESSFUL").await;

    wire.register("registry.example/shop/web:2");
    wire.update(configuration).await;
    let record = wire.pass_to("PRODUCTION_TRAFFIC_SHIFT").await;
    let weight = record
        .target_service_revision()
        .unwrap()
        .requested_production_traffic_weight();
    assert_eq!(weight, Some(12.5));
    wire.sandbox
        .world()
        .visit(|world, now| world.ecs.set_alarm(now, "shop-5xx", true));
    let record = wire.pass_to("ROLLBACK_SUCCESSFUL").await;
    let alarms = record.alarms().unwrap();
    assert_eq!(alarms.status().unwrap().as_str(), "TRIGGERED");
    assert_eq!(alarms.triggered_alarm_names(), ["shop-5xx"]);
    assert!(record.rollback().unwrap().service_revision_arn().is_some());
    let described = wire.ecs.describe_services().cluster(CLUSTER).services(SERVICE);
    let described = described.send().await.unwrap();
    let service = &described.services()[0];
    assert!(service.task_definition().unwrap().ends_with("shop:1"));
    let told = service.events().iter().filter_map(|event| event.message());
    assert_eq!(told.filter(|text| text.contains("alarm detected")).count(), 1);
    wire.sandbox.stop().await;
}
