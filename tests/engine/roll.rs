//! A roll behind the load balancer with real containers: no request is lost.

use super::bench::Bench;
use serde_json::json;
use slipway::clock::Clock;
use slipway::sandbox::balancer::Balancer;
use slipway::sandbox::world::orders::{Fact, Order, TargetId};
use slipway::sandbox::world::{World, WorldConfig, ecs::Timings};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

/// A world with one target group behind one listener; only its load balancers are used.
struct Site {
    world: Arc<Mutex<World>>,
    group: String,
    port: u16,
}

impl Site {
    async fn build() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = free.local_addr().unwrap().port();
        let world = World::new(WorldConfig {
            region: "eu-west-1".to_owned(),
            registry_host: "127.0.0.1:4566".to_owned(),
            timings: Timings::default(),
        });
        let mut site = Self {
            world: Arc::new(Mutex::new(world)),
            group: String::new(),
            port,
        };
        site.group = site.make(
            "CreateTargetGroup",
            "TargetGroupArn",
            &[
                ("Name", "web"),
                ("TargetType", "ip"),
                ("Protocol", "HTTP"),
                ("Port", "8080"),
                ("VpcId", "vpc-1"),
                ("HealthCheckIntervalSeconds", "5"),
                ("HealthCheckTimeoutSeconds", "2"),
            ],
        );
        let delay = [
            ("TargetGroupArn", site.group.as_str()),
            ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
            ("Attributes.member.1.Value", "2"),
        ];
        site.make("ModifyTargetGroupAttributes", "Key", &delay);
        let subnets = [("Subnets.member.1", "subnet-1"), ("Subnets.member.2", "subnet-2")];
        let front = site.make(
            "CreateLoadBalancer",
            "LoadBalancerArn",
            &[("Name", "front"), subnets[0], subnets[1]],
        );
        let listener = [
            ("LoadBalancerArn", front.as_str()),
            ("Protocol", "HTTP"),
            ("Port", &port.to_string()),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &site.group),
        ];
        site.make("CreateListener", "ListenerArn", &listener);
        site
    }

    /// Calls an operation and gives the first value of an element of its answer.
    fn make(&self, operation: &str, element: &str, params: &[(&str, &str)]) -> String {
        let params: BTreeMap<String, String> = params
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let mut world = self.world.lock().unwrap();
        let xml = world.elb.call(Clock::System.now(), operation, &params).unwrap();
        let (_, rest) = xml.split_once(&format!("<{element}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    }

    /// Moves the load balancers, and hands their checks to the runner, until it is stopped.
    async fn keep_moving(world: Arc<Mutex<World>>, orders: UnboundedSender<Order>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let due = {
                let mut world = world.lock().unwrap();
                world.elb.advance(Clock::System.now());
                world.elb.take_orders()
            };
            for order in due {
                let _ = orders.send(order);
            }
            tokio::time::timeout(Duration::from_millis(20), stop.cancelled())
                .await
                .ok();
        }
    }

    /// Follows the runner's facts until `wanted`; the outcomes of checks go to the world.
    async fn until(&self, bench: &mut Bench, wanted: impl Fn(&World, &Fact) -> bool) -> Fact {
        loop {
            let fact = bench.until(|_| true).await.remove(0);
            let mut world = self.world.lock().unwrap();
            if let Fact::TargetChecked {
                target_group,
                target,
                outcome,
            } = &fact
            {
                world
                    .elb
                    .checked(Clock::System.now(), target_group, target, outcome);
            }
            if wanted(&world, &fact) {
                return fact;
            }
        }
    }

    /// Starts a task that answers with its name, and waits until its target is healthy.
    async fn start(&self, bench: &mut Bench, name: &str) -> TargetId {
        let script = format!("echo -n {name} > /www/index.html; exec httpd -f -p 8080 -h /www");
        bench.run(
            name,
            &[json!({
                "name": "web", "image": "web:1", "command": ["/bin/sh", "-c", script], "stopTimeout": 2
            })],
        );
        let address = self
            .until(bench, |_, fact| matches!(fact, Fact::Address { .. }))
            .await;
        self.until(bench, |_, fact| matches!(fact, Fact::ContainerStarted { .. }))
            .await;
        let Fact::Address { address, .. } = address else {
            panic!("{address:?}")
        };
        let target = TargetId {
            id: address.to_string(),
            port: 8080,
        };
        let now = Clock::System.now();
        self.world
            .lock()
            .unwrap()
            .elb
            .register(now, &self.group, target.clone());
        self.until(bench, |world, _| {
            let health = world.elb.health(&self.group, &target);
            health.is_some_and(|health| health.state == "healthy")
        })
        .await;
        target
    }
}

/// Asks again and again, and gives every answer's status and body.
async fn ask_until(port: u16, stop: CancellationToken) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    while !stop.is_cancelled() {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        answers.push((head.lines().next().unwrap().to_owned(), body.to_owned()));
    }
    answers
}

#[tokio::test]
async fn no_request_is_lost_when_a_task_replaces_another() {
    let mut bench = Bench::start("roll").await;
    let site = Site::build().await;
    let stop = CancellationToken::new();
    let moving = Site::keep_moving(site.world.clone(), bench.orders.clone(), stop.clone());
    let moving = tokio::spawn(moving);
    let balancer = Balancer::start(site.world.clone());
    balancer.refresh().await.unwrap();

    let old = site.start(&mut bench, "old").await;
    let enough = CancellationToken::new();
    let clients: Vec<_> = (0..2)
        .map(|_| tokio::spawn(ask_until(site.port, enough.clone())))
        .collect();
    let _new = site.start(&mut bench, "new").await;
    let now = Clock::System.now();
    site.world.lock().unwrap().elb.deregister(now, &site.group, &old);
    site.until(&mut bench, |world, _| {
        world.elb.health(&site.group, &old).is_none()
    })
    .await;
    bench.stop_task("old");
    site.until(&mut bench, |_, fact| matches!(fact, Fact::TaskGone { .. }))
        .await;
    enough.cancel();
    for client in clients {
        let answers = client.await.unwrap();
        let wrong = answers.iter().find(|(status, _)| status != "HTTP/1.1 200 OK");
        assert_eq!(wrong, None);
        assert_eq!(answers.first().unwrap().1, "old");
        assert_eq!(answers.last().unwrap().1, "new");
    }
    stop.cancel();
    moving.await.unwrap();
    balancer.stop().await;
    bench.finish().await;
}
