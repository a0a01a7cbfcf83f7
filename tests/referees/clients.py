"""Drives the sandbox with boto3 and the AWS CLI, whose authors never heard of it."""

import datetime
import hashlib
import json
import os

import botocore.exceptions

from sandbox import ACCOUNT, REGION, Registry, Sandbox, digest, expect, image

CLUSTER, SERVICE, REPOSITORY = "prod", "web", "shop/web"
# Sandbox minutes pass in seconds: a rollout of two tasks takes about two and a half minutes on Fargate.
SPEED = "60"


def run(checks, slipway, folder):
    """Every check; answers the journal that the sandbox kept."""
    sandbox = Sandbox(slipway, folder, "--simulated", "--speed", SPEED)
    try:
        identity(checks, sandbox)
        uri = push(checks, sandbox)
        roll(checks, sandbox, uri)
        errors(checks, sandbox)
        objects(checks, sandbox, folder)
    finally:
        with checks.check("clients: the sandbox ends on SIGTERM"):
            sandbox.stop()
    return sandbox.journal


def identity(checks, sandbox):
    with checks.check("clients: sts get-caller-identity names the sandbox's account"):
        told = json.loads(sandbox.aws("sts", "get-caller-identity", "--output", "json"))
        expect(told["Account"] == ACCOUNT, f"the account is {told['Account']}")


def push(checks, sandbox):
    """An image in the sandbox's registry; answers its reference by digest."""
    ecr = sandbox.client("ecr")
    parts = image(b"clients")
    uri = f"127.0.0.1:{sandbox.port}/{REPOSITORY}"
    with checks.check("clients: ecr creates a repository once"):
        uri = ecr.create_repository(repositoryName=REPOSITORY)["repository"]["repositoryUri"]
        refused(ecr.create_repository, "RepositoryAlreadyExistsException", repositoryName=REPOSITORY)
    with checks.check("clients: ecr get-login-password opens the registry, and nothing else does"):
        password = sandbox.aws("ecr", "get-login-password").strip()
        expect(password, "the password is empty")
        status, _, _ = Registry(sandbox.port, password).ask("GET", "/v2/")
        expect(status == 200, f"with the password /v2/ answers {status}")
        status, headers, _ = Registry(sandbox.port).ask("GET", "/v2/")
        expect(status == 401 and "www-authenticate" in headers, f"without a password /v2/ answers {status}")
    with checks.check("clients: an image that is pushed is described with its digest, size and tag"):
        pushed = Registry(sandbox.port, sandbox.password()).push(REPOSITORY, "1", parts)
        expect(pushed == digest(parts[0]), f"the registry says {pushed}, the manifest is {digest(parts[0])}")
        (detail,) = ecr.describe_images(repositoryName=REPOSITORY)["imageDetails"]
        expect(detail["imageDigest"] == pushed, f"DescribeImages says {detail['imageDigest']}")
        expect(detail["imageTags"] == ["1"], f"the tags are {detail['imageTags']}")
        told = ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": "1"}])
        expect(told["images"][0]["imageManifest"].encode() == parts[0], "BatchGetImage changes the manifest")
    return f"{uri}@{digest(parts[0])}"


def task_definition(image_uri, **more):
    container = {
        "name": "web",
        "image": image_uri,
        "essential": True,
        "portMappings": [{"containerPort": 8080, "protocol": "tcp"}],
        "environment": [{"name": "GREETING", "value": "hello"}],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": "/ecs/web",
                "awslogs-region": REGION,
                "awslogs-stream-prefix": "web",
            },
        },
    }
    return {
        "family": "web",
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/execution",
        "containerDefinitions": [container],
        **more,
    }


def roll(checks, sandbox, uri):
    """A service that starts, and a second version rolled over it."""
    ecs, logs = sandbox.client("ecs"), sandbox.client("logs")
    network = {"awsvpcConfiguration": {"subnets": ["subnet-00000001"], "securityGroups": ["sg-00000001"]}}
    with checks.check("clients: a cluster, a log group, a task definition and a service are made"):
        ecs.create_cluster(clusterName=CLUSTER)
        logs.create_log_group(logGroupName="/ecs/web")
        first = ecs.register_task_definition(**task_definition(uri))["taskDefinition"]
        expect(first["taskDefinitionArn"].endswith(":task-definition/web:1"), first["taskDefinitionArn"])
        expect(isinstance(first["registeredAt"], datetime.datetime), "registeredAt is no timestamp")
        service = ecs.create_service(
            cluster=CLUSTER,
            serviceName=SERVICE,
            taskDefinition="web:1",
            desiredCount=2,
            launchType="FARGATE",
            networkConfiguration=network,
        )["service"]
        expect(service["runningCount"] == 0, "a service has running tasks the moment it is created")
    with checks.check("clients: aws ecs wait services-stable waits until both tasks run"):
        sandbox.aws("ecs", "wait", "services-stable", "--cluster", CLUSTER, "--services", SERVICE)
        told = json.loads(
            sandbox.aws("ecs", "describe-services", "--cluster", CLUSTER, "--services", SERVICE, "--output", "json")
        )
        (service,) = told["services"]
        (deployment,) = service["deployments"]
        expect(service["runningCount"] == 2, f"{service['runningCount']} tasks run")
        expect(deployment["rolloutState"] == "COMPLETED", f"the rollout is {deployment['rolloutState']}")
    with checks.check("clients: UpdateService answers with a deployment that has nothing yet"):
        ecs.register_task_definition(**task_definition(uri, tags=[{"key": "team", "value": "shop"}]))
        service = ecs.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition="web:2")["service"]
        primary, *_ = (d for d in service["deployments"] if d["status"] == "PRIMARY")
        expect(primary["runningCount"] == 0, f"{primary['runningCount']} tasks of a deployment run at its start")
        expect(primary["rolloutState"] == "IN_PROGRESS", f"it starts as {primary['rolloutState']}")
        expect(len(service["deployments"]) == 2, "the old deployment is gone at once")
    with checks.check("clients: the second version rolls, and its tasks are started by its deployment"):
        sandbox.aws("ecs", "wait", "services-stable", "--cluster", CLUSTER, "--services", SERVICE)
        (service,) = ecs.describe_services(cluster=CLUSTER, services=[SERVICE])["services"]
        expect(service["deployments"][0]["id"] == primary["id"], "another deployment is PRIMARY")
        arns = ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE)["taskArns"]
        tasks = ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]
        started = {task["startedBy"] for task in tasks if task["lastStatus"] == "RUNNING"}
        expect(started == {primary["id"]}, f"the running tasks were started by {started}")
        digests = {c.get("imageDigest") for task in tasks for c in task["containers"] if task["lastStatus"] == "RUNNING"}
        expect(digests == {uri.split("@")[1]}, f"the running digests are {digests}")
    with checks.check("clients: the service deployment and its revision can be described"):
        found = ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE)["serviceDeployments"]
        newest = max(found, key=lambda deployment: deployment["createdAt"])
        (told,) = ecs.describe_service_deployments(serviceDeploymentArns=[newest["serviceDeploymentArn"]])[
            "serviceDeployments"
        ]
        expect(told["status"] == "SUCCESSFUL", f"its status is {told['status']}")
        revision = told["targetServiceRevision"]["arn"]
        (told,) = ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
        expect(told["taskDefinition"].endswith("web:2"), told["taskDefinition"])


def refused(call, code, **arguments):
    """Expects a call to be refused with a code that its operation's model declares."""
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        found = error.response["Error"]["Code"]
        expect(found == code, f"{error.operation_name} is refused with {found} instead of {code}")
    else:
        expect(False, f"not refused, {code} was due")


def errors(checks, sandbox):
    """What AWS refuses, and what it answers with `failures` and status 200."""
    ecs, ecr, s3 = (sandbox.client(name) for name in ("ecs", "ecr", "s3"))
    refusals = [
        ("an unknown cluster", ecs.describe_services, "ClusterNotFoundException", {"cluster": "no", "services": ["a"]}),
        ("an unknown service", ecs.update_service, "ServiceNotFoundException", {"cluster": CLUSTER, "service": "no"}),
        ("an unknown family", ecs.describe_task_definition, "ClientException", {"taskDefinition": "no"}),
        ("a Fargate size that is not sold", ecs.register_task_definition, "ClientException", task_definition("a", memory="4096")),
        ("an unknown repository", ecr.describe_repositories, "RepositoryNotFoundException", {"repositoryNames": ["no"]}),
        (
            "an unknown image",
            ecr.describe_images,
            "ImageNotFoundException",
            {"repositoryName": REPOSITORY, "imageIds": [{"imageTag": "no"}]},
        ),
        ("an unknown bucket", s3.get_object, "NoSuchBucket", {"Bucket": "no-such-bucket", "Key": "k"}),
    ]
    for what, call, code, arguments in refusals:
        with checks.check(f"clients: {what} is refused with {code}"):
            refused(call, code, **arguments)
    with checks.check("clients: services, tasks and images that are missing come back as failures"):
        told = ecs.describe_services(cluster=CLUSTER, services=["no"])
        expect([f["reason"] for f in told["failures"]] == ["MISSING"], f"{told['failures']}")
        told = ecs.describe_tasks(cluster=CLUSTER, tasks=["0" * 32])
        expect([f["reason"] for f in told["failures"]] == ["MISSING"], f"{told['failures']}")
        told = ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": "no"}])
        expect([f["failureCode"] for f in told["failures"]] == ["ImageNotFound"], f"{told['failures']}")
    with checks.check("clients: an operation that the sandbox does not imitate is refused by name"):
        try:
            ecs.create_capacity_provider(name="no")
        except botocore.exceptions.ClientError as error:
            # botocore's own text names the operation whatever the answer was; the answer must.
            message = error.response["Error"].get("Message", "")
            expect("CreateCapacityProvider" in message, f"the refusal does not name it: {message}")
        else:
            expect(False, "not refused")


def objects(checks, sandbox, folder):
    """S3 through the CLI, in one piece and in parts, both ways."""
    s3 = sandbox.client("s3")
    bucket = "s3://artifacts-of-referees"
    # Larger than the CLI's threshold for multipart, 8 MiB; the same bytes on every run.
    big = os.path.join(folder, "big.bin")
    with open(big, "wb") as file:
        for number in range(20 * 16):
            file.write(hashlib.sha512(str(number).encode()).digest() * 1024)
    small = os.path.join(folder, "small.json")
    with open(small, "w", encoding="utf-8") as file:
        file.write('[{"name": "web", "imageUri": "a/b"}]')
    back = os.path.join(folder, "back")
    with checks.check("clients: aws s3 mb makes a bucket"):
        sandbox.aws("s3", "mb", bucket)
    for name, path in (("small.json", small), ("folder/big 20 MB+ü.bin", big)):
        with checks.check(f"clients: aws s3 cp brings `{name}` there and back unchanged"):
            sandbox.aws("s3", "cp", "--only-show-errors", path, f"{bucket}/{name}")
            sandbox.aws("s3", "cp", "--only-show-errors", f"{bucket}/{name}", back)
            with open(path, "rb") as one, open(back, "rb") as other:
                expect(one.read() == other.read(), "the bytes differ")
    with checks.check("clients: a multipart object's ETag says so, and aws s3 ls lists its size"):
        head = s3.head_object(Bucket=bucket[5:], Key="folder/big 20 MB+ü.bin")
        expect(head["ETag"].strip('"').endswith("-3"), f"the ETag of three parts is {head['ETag']}")
        expect(head["ContentLength"] == os.path.getsize(big), f"the length is {head['ContentLength']}")
        listing = sandbox.aws("s3", "ls", "--recursive", bucket)
        expect(str(os.path.getsize(big)) in listing and "small.json" in listing, listing)
    with checks.check("clients: a missing key is NoSuchKey"):
        refused(s3.get_object, "NoSuchKey", Bucket=bucket[5:], Key="no")
        refused(s3.head_object, "404", Bucket=bucket[5:], Key="no")
    with checks.check("clients: aws s3 rm deletes"):
        sandbox.aws("s3", "rm", "--only-show-errors", "--recursive", bucket)
        told = s3.list_objects_v2(Bucket=bucket[5:])
        expect(told["KeyCount"] == 0, f"{told['KeyCount']} objects are left")
