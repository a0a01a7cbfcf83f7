//! A bench for stories: a sandbox with simulated tasks on a virtual clock, seeded with one service, and the tools of
//! a stage that talk to it over a real socket.

mod door;

use crate::journals::journal;
use aws_sdk_ecs::types::{
    AwsVpcConfiguration, Deployment, DeploymentAlarms, DeploymentCircuitBreaker, DeploymentConfiguration,
    DeploymentController, DeploymentControllerType, LaunchType, LoadBalancer, NetworkConfiguration, Service,
};
use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, ProtocolEnum, TargetTypeEnum};
use serde_json::{Value, json};
use slipway::aws::{Aws, AwsSettings, StaticKeys};
use slipway::clock::{Clock, VirtualClock};
use slipway::config::settings::{
    DefinitionsSource, DeploySettings, OnFailure, OnFirstFailure, Place, ServiceSettings, Until,
};
use slipway::ecs::recorder::Recorder;
use slipway::ecs::service::Ecs;
use slipway::ecs::task_definition::TaskDefinition;
use slipway::failure::Failure;
use slipway::image::endpoint::EngineEnv;
use slipway::report::event::{Event, Tell};
use slipway::sandbox::scenario::Scenario;
use slipway::sandbox::server::{Options, Sandbox, Tasks};
use slipway::sandbox::world::ecs::Timings;
use slipway::secret::Secret;
use slipway::shutdown::{self, ShutdownSwitch};
use slipway::stage::Tools;
use slipway::stage::deploy::{self, DeployPlan, Deployed};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const CLUSTER: &str = "prod";
pub const OTHER_CLUSTER: &str = "staging";
pub const SERVICE: &str = "shop";
/// A registry that is not the sandbox's: simulated tasks take its images as they are.
pub const REPOSITORY: &str = "registry.example/shop/web";

/// Version 1's digest: `1` sixty-four times; version 2's is made of `2`s.
pub fn image(version: u8) -> String {
    format!(
        "{REPOSITORY}@sha256:{}",
        char::from(b'0' + version).to_string().repeat(64)
    )
}

pub struct Bench {
    /// Serves as long as the bench lives.
    pub sandbox: Sandbox,
    pub tools: Tools,
    pub aws: Aws,
    pub switch: ShutdownSwitch,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub folder: tempfile::TempDir,
    journal: PathBuf,
}

/// How the service is set up.
pub struct Setup {
    pub desired: i32,
    pub breaker: bool,
    pub controller: DeploymentControllerType,
    pub task_definition: Value,
    /// Whether the container `web` is behind a target group that checks `/healthz`.
    pub balanced: bool,
    /// Whether the alarm `errors` rolls its deployments back.
    pub alarmed: bool,
    /// The least and most percentage of tasks during a deployment; ECS's defaults if absent.
    pub percent: Option<(i32, i32)>,
    /// The target group that the tasks are registered in.
    pub target_group: Option<String>,
    pub cluster: &'static str,
    /// Whether the referees read the run: not what no model of today knows.
    pub refereed: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            desired: 2,
            breaker: true,
            controller: DeploymentControllerType::Ecs,
            task_definition: task_definition("shop", &image(1)),
            balanced: false,
            alarmed: false,
            percent: None,
            target_group: None,
            cluster: CLUSTER,
            refereed: true,
        }
    }
}

pub fn task_definition(family: &str, image: &str) -> Value {
    json!({
        "family": family,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": "arn:aws:iam::000000000000:role/ecsTaskExecutionRole",
        "containerDefinitions": [{
            "name": "web",
            "image": image,
            "essential": true,
            "portMappings": [{ "containerPort": 8080, "protocol": "tcp" }],
            "environment": [{ "name": "EMPTY", "value": "" }],
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/shop", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "ecs" } },
        }],
    })
}

impl Bench {
    /// An empty sandbox with a cluster and a log group.
    pub async fn empty(scenario: &str, journal: Option<PathBuf>) -> Self {
        let clock = Clock::Virtual(VirtualClock::starting_at(Duration::from_secs(1_767_225_600)));
        let folder = tempfile::tempdir().unwrap();
        let journal = journal.unwrap_or_else(|| folder.path().join("journal.jsonl"));
        let sandbox = Sandbox::start(Options {
            port: 0,
            journal: Some(journal.clone()),
            scenario: Scenario::parse(scenario).unwrap(),
            region: "eu-west-1".to_owned(),
            tasks: Tasks::Simulated,
            timings: Timings::default(),
            clock: clock.clone(),
            docker_host: None,
        })
        .await
        .unwrap();
        let aws = Aws::connect(AwsSettings {
            region: Some("eu-west-1".to_owned()),
            endpoint: Some(sandbox.endpoint().to_owned()),
            credentials: Some(StaticKeys {
                access_key_id: Secret::new("sandbox".to_owned()),
                secret_access_key: Secret::new("sandbox".to_owned()),
                session_token: None,
            }),
        })
        .await
        .unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = events.clone();
        let (switch, view) = shutdown::switch();
        let tools = Tools {
            aws: aws.clone().into(),
            clock,
            shutdown: view,
            tell: Tell::new(move |event| heard.lock().unwrap().push(event)),
            engine: EngineEnv::default(),
            record: Recorder::default(),
        };
        for cluster in [CLUSTER, OTHER_CLUSTER] {
            aws.ecs
                .create_cluster()
                .cluster_name(cluster)
                .send()
                .await
                .unwrap();
        }
        aws.logs
            .create_log_group()
            .log_group_name("/ecs/shop")
            .send()
            .await
            .unwrap();
        Self {
            sandbox,
            tools,
            aws,
            switch,
            events,
            journal,
            folder,
        }
    }

    /// The same with a service whose version 1 has reached its steady state.
    pub async fn with_service(scenario: &str, setup: Setup) -> Self {
        let journal = if setup.refereed { journal(scenario) } else { None };
        let bench = Box::pin(Self::empty(scenario, journal)).await;
        let revision = bench.register(&setup.task_definition).await;
        Box::pin(bench.create_service(SERVICE, &revision, &setup)).await;
        if setup.controller == DeploymentControllerType::Ecs {
            bench.wait_until_steady().await;
        }
        bench
    }

    /// Registers a task definition and returns its ARN.
    pub async fn register(&self, definition: &Value) -> String {
        let document = TaskDefinition::parse(definition.to_string().as_bytes()).unwrap();
        Ecs::new(self.aws.clone(), CLUSTER, SERVICE)
            .register(&document)
            .await
            .unwrap()
    }

    /// A registered task definition, as it would be registered again.
    pub async fn registered(&self, revision: &str) -> String {
        let ecs = Ecs::new(self.aws.clone(), CLUSTER, SERVICE);
        String::from_utf8(ecs.task_definition(revision).await.unwrap().to_json()).unwrap()
    }

    pub async fn create_service(&self, name: &str, revision: &str, setup: &Setup) {
        let vpc = AwsVpcConfiguration::builder()
            .subnets("subnet-1")
            .security_groups("sg-1")
            .build()
            .unwrap();
        let breaker = DeploymentCircuitBreaker::builder()
            .enable(setup.breaker)
            .rollback(setup.breaker)
            .build();
        let controller = DeploymentController::builder()
            .r#type(setup.controller.clone())
            .build()
            .unwrap();
        let mut call = self
            .aws
            .ecs
            .create_service()
            .cluster(setup.cluster)
            .service_name(name)
            .task_definition(revision)
            .desired_count(setup.desired)
            .launch_type(LaunchType::Fargate)
            .deployment_controller(controller)
            .network_configuration(NetworkConfiguration::builder().awsvpc_configuration(vpc).build());
        if setup.controller == DeploymentControllerType::Ecs {
            let (least, most) = setup.percent.unzip();
            let alarms = DeploymentAlarms::builder().alarm_names("errors");
            let alarms = alarms.enable(true).rollback(true).build().unwrap();
            call = call.deployment_configuration(
                DeploymentConfiguration::builder()
                    .deployment_circuit_breaker(breaker)
                    .set_alarms(setup.alarmed.then_some(alarms))
                    .set_minimum_healthy_percent(least)
                    .set_maximum_percent(most)
                    .build(),
            );
        }
        if setup.balanced {
            call = call.load_balancers(door::open(&self.aws).await);
        }
        if let Some(group) = &setup.target_group {
            let behind = LoadBalancer::builder()
                .target_group_arn(group)
                .container_name("web")
                .container_port(8080);
            call = call.load_balancers(behind.build());
        }
        call.send().await.unwrap();
    }

    /// A target group behind a load balancer of its own.
    pub async fn target_group(&self, name: &str) -> String {
        self.target_group_at(name, 80).await
    }

    /// The same; in the sandbox all load balancers share an address, so that each needs a port of its own.
    pub async fn target_group_at(&self, name: &str, port: i32) -> String {
        let elb = &self.aws.elb;
        let balancer = elb
            .create_load_balancer()
            .name(name)
            .subnets("subnet-00000000")
            .subnets("subnet-00000001");
        let balancer = balancer.send().await.unwrap().load_balancers()[0]
            .load_balancer_arn()
            .unwrap()
            .to_owned();
        let group = elb
            .create_target_group()
            .name(name)
            .protocol(ProtocolEnum::Http)
            .port(8080)
            .target_type(TargetTypeEnum::Ip)
            .vpc_id("vpc-00000000")
            .health_check_interval_seconds(5)
            .health_check_timeout_seconds(2)
            .healthy_threshold_count(2);
        let group = group.send().await.unwrap().target_groups()[0]
            .target_group_arn()
            .unwrap()
            .to_owned();
        let forward = Action::builder()
            .r#type(ActionTypeEnum::Forward)
            .target_group_arn(&group)
            .build();
        elb.create_listener()
            .load_balancer_arn(balancer)
            .protocol(ProtocolEnum::Http)
            .port(port)
            .default_actions(forward)
            .send()
            .await
            .unwrap();
        group
    }

    /// Services that run version 1 of a family of their own name each, once all have reached their steady state.
    pub async fn with_services(scenario: &str, services: &[(&str, Setup)]) -> Self {
        let bench = Self::empty(scenario, journal(scenario)).await;
        for (name, setup) in services {
            bench.add_service(name, setup).await;
        }
        bench.let_pass(Duration::from_secs(180)).await;
        bench
    }

    pub async fn add_service(&self, name: &str, setup: &Setup) {
        let mut definition = setup.task_definition.clone();
        definition["family"] = json!(name);
        let revision = self.register(&definition).await;
        self.create_service(name, &revision, setup).await;
    }

    pub async fn let_pass(&self, time: Duration) {
        let _ = self.tools.clock.pause(time, &shutdown::Shutdown::never()).await;
    }

    /// The plan of version 2 for these services.
    pub fn version_two_of(&self, services: &[(&str, &str)]) -> DeployPlan {
        let mut plan = self.version_two();
        let one = plan.services[0].clone();
        plan.services = services
            .iter()
            .map(|(cluster, name)| ServiceSettings {
                name: name.parse().unwrap(),
                cluster: Some(cluster.parse().unwrap()),
                ..one.clone()
            })
            .collect();
        plan
    }

    /// `family:revision` of the primary deployment of a service, and whether it completed, asked past the wire.
    pub fn primary(&self, cluster: &str, service: &str) -> (String, bool) {
        let described = self.ask(
            "DescribeServices",
            &json!({ "cluster": cluster, "services": [service] }),
        );
        let primary = &described["services"][0]["deployments"][0];
        assert_eq!(primary["status"], "PRIMARY", "{described}");
        let revision = primary["taskDefinition"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        (revision.to_owned(), primary["rolloutState"] == "COMPLETED")
    }

    pub async fn wait_until_steady(&self) {
        for _ in 0..600 {
            let service = self.service().await;
            let done = |one: &Deployment| {
                one.rollout_state()
                    .is_some_and(|state| state.as_str() == "COMPLETED")
            };
            if service.deployments().len() == 1 && service.deployments().iter().all(done) {
                return;
            }
            let _ = self
                .tools
                .clock
                .pause(Duration::from_secs(5), &shutdown::Shutdown::never())
                .await;
        }
        panic!(
            "the service did not become steady: {:?}",
            self.service().await.events().first()
        );
    }

    pub async fn service(&self) -> Service {
        let answer = self
            .aws
            .ecs
            .describe_services()
            .cluster(CLUSTER)
            .services(SERVICE)
            .send()
            .await
            .unwrap();
        answer.services().first().unwrap().clone()
    }

    /// Asks the world itself, past the wire and its faults; the journal does not show it.
    pub fn ask(&self, operation: &str, input: &Value) -> Value {
        let answer = self
            .sandbox
            .world()
            .visit(|world, now| world.ecs.call(now, operation, input, &mut world.elb, &world.ecr));
        answer.unwrap()
    }

    /// The journal, one request a line.
    pub fn journal_text(&self) -> String {
        std::fs::read_to_string(&self.journal).unwrap()
    }

    /// The operations that were asked for over the wire, in order, as `service:Operation`.
    pub fn journal(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.journal).unwrap();
        let operation = |line: &str| {
            let entry: Value = serde_json::from_str(line).unwrap();
            format!(
                "{}:{}",
                entry["service"].as_str().unwrap(),
                entry["operation"].as_str().unwrap()
            )
        };
        text.lines().map(operation).collect()
    }

    /// `family:revision` that the service names.
    pub async fn revision(&self) -> String {
        self.service()
            .await
            .task_definition()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned()
    }

    /// How many revisions of the family were ever registered.
    pub async fn revisions(&self) -> usize {
        let answer = self
            .aws
            .ecs
            .list_task_definitions()
            .family_prefix("shop")
            .send()
            .await
            .unwrap();
        answer.task_definition_arns().len()
    }

    /// A plan that deploys this imagedefinitions.json text to the service.
    pub fn plan(&self, definitions: &str) -> DeployPlan {
        let path = self.folder.path().join("imagedefinitions.json");
        std::fs::write(&path, definitions).unwrap();
        DeployPlan {
            deploy: DeploySettings {
                cluster: Some(CLUSTER.to_owned()),
                source: DefinitionsSource::File(path),
                timeout: Duration::from_secs(900),
                until: Until::Healthy,
                on_failure: OnFailure::Rollback,
                on_first_failure: OnFirstFailure::KeepGoing,
                force: false,
                allow_zero: false,
            },
            services: vec![ServiceSettings {
                name: SERVICE.parse().unwrap(),
                cluster: None,
                place: Place::default(),
                task_definition: None,
                env: BTreeMap::new(),
                containers: Vec::new(),
            }],
            tasks: Vec::new(),
        }
    }

    /// The plan of version 2.
    pub fn version_two(&self) -> DeployPlan {
        self.plan(&json!([{ "name": "web", "imageUri": image(2) }]).to_string())
    }

    pub async fn deploy(&self, plan: &DeployPlan) -> Result<Vec<Deployed>, Failure> {
        deploy::deploy(&self.tools, plan).await
    }

    pub fn told(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// The failure as a user would read it.
    pub fn rendered(failure: &Failure) -> String {
        slipway::report::human::render(failure, None, slipway::report::human::Style { colour: false })
    }
}
