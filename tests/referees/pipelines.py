"""boto3 as a job worker, and as whoever drives the pipeline: both know AWS, and neither has heard of the sandbox.

CodePipeline is asked in both of its protocols, each once by the worker and once by the driver.
"""

import hashlib
import io
import json
import os
import time
import zipfile

import boto3
import botocore.config
import botocore.exceptions
from boto3.s3.transfer import TransferConfig

from clients import refused
from sandbox import ACCOUNT, REGION, Sandbox, expect

CBOR, JSON = "smithy-rpc-v2-cbor", "json"
# Thirty seconds between a continuation token and its next job pass in half a second.
SPEED = "60"
LIMIT = 20  # seconds of waiting for what takes at most one
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/00000000-0000-4000-8000-000000000001"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pipeline"
DEPLOYER = "arn:aws:iam::111111111111:role/deployer"
CANARY = "canary-of-a-secret-property"
# Another account's role, and a queue that gets what wakes a worker.
SCENARIO = f"""
[[role]]
arn = "{DEPLOYER}"
external-id = "ours"

[[wake]]
queue = "slipway-wake"
states = ["STARTED"]
"""
# The keys of a job end soon, and not before a client was made with them, which takes a busy machine a second or two.
HASTY = """
[codepipeline]
credentials-seconds = 8
"""


def run(checks, slipway, folder):
    """Every check; answers the journals that the sandboxes kept."""
    journals = []
    for name, scenario, play in (("pipelines", SCENARIO, play_all), ("keys that end", HASTY, expire)):
        room = os.path.join(folder, name.replace(" ", "-"))
        os.makedirs(room)
        told = os.path.join(room, "scenario.toml")
        with open(told, "w", encoding="utf-8") as file:
            file.write(scenario)
        sandbox = Sandbox(slipway, room, "--simulated", "--speed", SPEED, "--scenario", told)
        try:
            play(checks, sandbox)
        finally:
            sandbox.stop()
        journals.append((name, sandbox.journal))
    with checks.check("pipelines: no secret of a job is in a journal"):
        for _, path in journals:
            with open(path, encoding="utf-8") as file:
                expect(CANARY not in file.read(), "a secret property is in the journal")
    return journals


def play_all(checks, sandbox):
    for name, driver, worker in (("shop", JSON, CBOR), ("books", CBOR, JSON)):
        Play(checks, sandbox, name, driver, worker).run()
    roles(checks, sandbox)
    queues(checks, sandbox)


def client(sandbox, service, protocol=None, keys=None):
    """A client that retries nothing, with certain keys, and one protocol of those that the service's model names."""
    session = boto3.Session()
    loader = session._session.get_component("data_loader")
    load = loader.load_service_model

    def load_one_protocol(name, kind, api_version=None):
        model = load(name, kind, api_version)
        if protocol is None or name != service or kind != "service-2":
            return model
        expect(protocol in model["metadata"]["protocols"], f"{service} does not speak {protocol}")
        return {**model, "metadata": {**model["metadata"], "protocol": protocol, "protocols": [protocol]}}

    loader.load_service_model = load_one_protocol
    keys = keys or {"accessKeyId": "sandbox", "secretAccessKey": "sandbox"}
    made = session.client(
        service,
        endpoint_url=sandbox.endpoint,
        region_name=REGION,
        aws_access_key_id=keys["accessKeyId"],
        aws_secret_access_key=keys["secretAccessKey"],
        aws_session_token=keys.get("sessionToken"),
        config=botocore.config.Config(
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
            signature_version="s3v4" if service == "s3" else None,
        ),
    )
    spoken = made.meta.service_model.resolved_protocol
    expect(protocol in (None, spoken), f"the client speaks {spoken} instead of {protocol}")
    return made


def until(what, look):
    """What `look` answers once it answers something."""
    end = time.monotonic() + LIMIT
    while not (seen := look()):
        expect(time.monotonic() < end, f"{what}: not in {LIMIT} s")
        time.sleep(0.05)
    return seen


def archive(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as writer:
        for name, text in files.items():
            writer.writestr(name, text)
    return content.getvalue()


def artifact(job, side):
    """The one artifact of a side: its bucket and key, as keyword arguments of S3's operations."""
    (found,) = job["data"][side]
    location = found["location"]["s3Location"]
    return {"Bucket": location["bucketName"], "Key": location["objectKey"]}


class Play:
    """One pipeline from its making to its end."""

    def __init__(self, checks, sandbox, name, driver, worker):
        self.checks, self.sandbox, self.name = checks, sandbox, name
        self.provider = f"Referee-{name}"
        self.words = f"pipelines, driver {driver}, worker {worker}"
        self.driver = client(sandbox, "codepipeline", driver)
        self.worker = client(sandbox, "codepipeline", worker)
        self.s3 = client(sandbox, "s3")
        self.source = archive(**{"slipway.toml": f"# {name}"})
        self.made = archive(**{"imagedefinitions.json": "[]"})

    def check(self, name):
        return self.checks.check(f"{self.words}: {name}")

    def run(self):
        with self.check("action types, a pipeline and its buckets are made"):
            self.make()
        with self.check("a job is polled, claimed once and described"):
            job = self.claim("Build")
        with self.check("the start of the action was told to a queue"):
            self.wake(job)
        with self.check("the input is fetched with the job's keys, which open nothing else"):
            self.fetch(job)
        with self.check("the output is stored with the pipeline's key only"):
            self.store(job)
        with self.check("a continuation token ends a job and comes back with the next one"):
            self.hop(job)
        with self.check("a failure fails the stage, and its retry is another attempt of the same execution"):
            self.fail_and_retry()
        with self.check("an abandoned action takes no result any more"):
            self.abandon()
        with self.check("the history tells every attempt"):
            self.tell()

    # --- the driver --------------------------------------------------------------------------------------------------

    def make(self):
        counts = {"minimumCount": 0, "maximumCount": 1}
        types = {}
        for category in ("Build", "Deploy"):
            made = self.driver.create_custom_action_type(
                category=category,
                provider=self.provider,
                version="1",
                settings={"executionUrlTemplate": "https://example.com/{ExternalExecutionId}"},
                inputArtifactDetails={"minimumCount": 1, "maximumCount": 1},
                outputArtifactDetails=counts,
                configurationProperties=[
                    {"name": "Fleet", "required": True, "key": True, "secret": False, "queryable": True, "type": "String"},
                    {"name": "Secrets", "required": False, "key": False, "secret": True, "queryable": False},
                    {"name": "Digest", "required": False, "key": False, "secret": False, "queryable": False},
                ],
            )["actionType"]
            types[category] = made["id"]
            expect(made["id"]["owner"] == "Custom", f"{made['id']}")
        listed = self.driver.list_action_types(actionOwnerFilter="Custom")["actionTypes"]
        expect(sum(one["id"]["provider"] == self.provider for one in listed) == 2, "not both are listed")
        self.bucket = f"artifacts-of-{self.name}"
        for bucket in (self.bucket, f"sources-of-{self.name}"):
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        demands = {
            "s3:x-amz-server-side-encryption": "aws:kms",
            "s3:x-amz-server-side-encryption-aws-kms-key-id": KEY,
        }
        statements = [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": f"arn:aws:s3:::{self.bucket}/*",
                "Condition": {"StringNotEquals": {name: value}},
            }
            for name, value in demands.items()
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=policy)
        self.s3.put_object(Bucket=f"sources-of-{self.name}", Key="source.zip", Body=self.source)
        configuration = {"Fleet": "blue", "Secrets": CANARY}
        stages = [
            (
                "Source",
                {
                    "name": "Fetch",
                    "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
                    "configuration": {"S3Bucket": f"sources-of-{self.name}", "S3ObjectKey": "source.zip"},
                    "outputArtifacts": [{"name": "Source"}],
                },
            ),
            (
                "Build",
                {
                    "name": "Build",
                    "actionTypeId": types["Build"],
                    "configuration": configuration,
                    "inputArtifacts": [{"name": "Source"}],
                    "outputArtifacts": [{"name": "Images"}],
                    "namespace": "Built",
                },
            ),
            (
                "Deploy",
                {
                    "name": "Deploy",
                    "actionTypeId": types["Deploy"],
                    "configuration": configuration | {"Digest": "#{Built.digest}"},
                    "inputArtifacts": [{"name": "Images"}],
                },
            ),
        ]
        self.driver.create_pipeline(
            pipeline={
                "name": self.name,
                "roleArn": ROLE,
                "artifactStore": {"type": "S3", "location": self.bucket, "encryptionKey": {"id": KEY, "type": "KMS"}},
                "stages": [{"name": name, "actions": [action]} for name, action in stages],
            }
        )

    def state(self, stage):
        """The last execution of the one action of a stage, and the stage's own."""
        states = self.driver.get_pipeline_state(name=self.name)["stageStates"]
        (found,) = [one for one in states if one["stageName"] == stage]
        return found["actionStates"][0].get("latestExecution", {}), found.get("latestExecution", {})

    def execution(self, identity):
        told = self.driver.get_pipeline_execution(pipelineName=self.name, pipelineExecutionId=identity)
        return told["pipelineExecution"]["status"]

    # --- the worker --------------------------------------------------------------------------------------------------

    def poll(self, category, fleet="blue"):
        kind = {"category": category, "owner": "Custom", "provider": self.provider, "version": "1"}
        jobs = self.worker.poll_for_jobs(actionTypeId=kind, maxBatchSize=1, queryParam={"Fleet": fleet})
        return next(iter(jobs["jobs"]), None)

    def claim(self, category):
        # More slowly than the quota of PollForJobs refills at this speed.
        job = until(f"a job of {category}", lambda: self.poll(category))
        expect(self.poll(category, fleet="red") is None, "another fleet gets the job as well")
        wrong = {"jobId": job["id"], "nonce": f"{job['nonce']}0"}
        refused(self.worker.acknowledge_job, "InvalidNonceException", **wrong)
        claimed = self.worker.acknowledge_job(jobId=job["id"], nonce=job["nonce"])
        expect(claimed["status"] == "InProgress", f"the claim says {claimed['status']}")
        refused(self.worker.acknowledge_job, "InvalidNonceException", jobId=job["id"], nonce=job["nonce"])
        told = self.worker.get_job_details(jobId=job["id"])["jobDetails"]
        context = told["data"]["pipelineContext"]
        expect(context["pipelineName"] == self.name and context["stage"]["name"] == category, f"{context}")
        expect(told["data"]["actionConfiguration"]["configuration"]["Secrets"] == CANARY, "the worker gets no secret")
        expect(told["accountId"] == ACCOUNT, f"the account is {told['accountId']}")
        return told

    def wake(self, job):
        sqs = client(self.sandbox, "sqs")
        url = sqs.get_queue_url(QueueName="slipway-wake")["QueueUrl"]
        told = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            told += [json.loads(one["Body"]) for one in messages]
            for one in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        expect(all(one["detail"]["state"] == "STARTED" for one in told), f"{told}")
        due = job["data"]["pipelineContext"]
        ours = [one["detail"] for one in told if one["detail"]["pipeline"] == self.name]
        (event,) = [one for one in ours if one["action"] == "Build"]
        expect(event["execution-id"] == due["pipelineExecutionId"], f"{event}")
        expect(event["action-execution-id"] == due["action"]["actionExecutionId"], f"{event}")
        kind = {"owner": "Custom", "category": "Build", "provider": self.provider, "version": "1"}
        expect({name: str(value) for name, value in event["type"].items()} == kind, f"{event}")

    def fetch(self, job):
        s3 = client(self.sandbox, "s3", keys=job["data"]["artifactCredentials"])
        place = artifact(job, "inputArtifacts")
        body = s3.get_object(**place)["Body"].read()
        expect(body == self.source, "the input is not the source")
        tagged = {"Tagging": {"TagSet": []}}
        for call, more in (
            (s3.put_object, {**place, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}),
            (s3.delete_object, place),
            (s3.get_object, {**place, "Key": "another"}),
            (s3.get_object, {"Bucket": f"sources-of-{self.name}", "Key": "source.zip"}),
            (s3.list_objects_v2, {"Bucket": self.bucket}),
            (s3.put_object_tagging, {**artifact(job, "outputArtifacts"), **tagged}),
            (s3.put_object_acl, {**artifact(job, "outputArtifacts"), "ACL": "private"}),
        ):
            denied(call, "AccessDenied", f"assumed-role/pipeline/{job['id']}", **more)
        refused(s3.head_bucket, "403", Bucket=self.bucket)
        ecs = client(self.sandbox, "ecs", keys=job["data"]["artifactCredentials"])
        denied(ecs.list_clusters, "AccessDeniedException", f"assumed-role/pipeline/{job['id']}")

    def store(self, job):
        s3 = client(self.sandbox, "s3", keys=job["data"]["artifactCredentials"])
        place = artifact(job, "outputArtifacts")
        other = KEY[:-1] + "2"
        for encryption in (
            {},
            {"ServerSideEncryption": "AES256"},
            {"ServerSideEncryption": "aws:kms"},
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": other},
        ):
            denied(s3.put_object, "AccessDenied", "s3:PutObject", **place, **encryption, Body=b"x")
            denied(s3.create_multipart_upload, "AccessDenied", "s3:PutObject", **place, **encryption)
        kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}
        # In parts, as a large artifact goes, and then whole.
        large = hashlib.sha512(self.name.encode()).digest() * (6 * 1024 * 1024 // 64)
        parts = TransferConfig(multipart_threshold=5 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024)
        s3.upload_fileobj(io.BytesIO(large), place["Bucket"], place["Key"], ExtraArgs=kms, Config=parts)
        expect(s3.get_object(**place)["Body"].read() == large, "what was stored in parts is another thing")
        abandoned = s3.create_multipart_upload(**place, **kms)
        uploads = self.s3.list_multipart_uploads(Bucket=place["Bucket"])["Uploads"]
        expect([one["UploadId"] for one in uploads] == [abandoned["UploadId"]], f"{uploads}")
        s3.abort_multipart_upload(**place, UploadId=abandoned["UploadId"])
        expect("Uploads" not in self.s3.list_multipart_uploads(Bucket=place["Bucket"]), "an upload is left")
        stored = s3.put_object(**place, **kms, Body=self.made)
        head = s3.head_object(**place)
        for answer in (stored, head):
            expect((answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == ("aws:kms", KEY), f"{answer}")
        expect(head["ETag"] == stored["ETag"], "the object is another one")

    def hop(self, job):
        token = json.dumps({"v": 1, "step": "pushed"})
        details = {"summary": "2 of 3 layers pushed", "percentComplete": 66, "externalExecutionId": "build-1"}
        self.worker.put_job_success_result(jobId=job["id"], continuationToken=token, executionDetails=details)
        refused(self.worker.put_job_success_result, "InvalidJobStateException", jobId=job["id"])
        action, stage = self.state("Build")
        expect((action["status"], action["percentComplete"]) == ("InProgress", 66), f"{action}")
        expect(action["summary"] == details["summary"], f"{action}")
        expect(action["externalExecutionUrl"] == "https://example.com/build-1", f"{action}")
        expect(stage["status"] == "InProgress", f"{stage}")
        again = self.claim("Build")
        expect(again["id"] != job["id"], "the job is the same one")
        expect(again["data"]["continuationToken"] == token, f"the token is {again['data'].get('continuationToken')}")
        old, new = (one["data"]["pipelineContext"]["action"]["actionExecutionId"] for one in (job, again))
        expect(old == new, "the attempt is another one")
        keys = [one["data"]["artifactCredentials"]["accessKeyId"] for one in (job, again)]
        expect(keys[0] != keys[1], "the keys are the old ones")
        refused(
            self.worker.put_job_success_result,
            "OutputVariablesSizeExceededException",
            jobId=again["id"],
            outputVariables={"digest": "x" * 122_881},
        )
        self.worker.put_job_success_result(jobId=again["id"], outputVariables={"digest": "sha256:0"})

    def fail_and_retry(self):
        job = self.claim("Deploy")
        expect(job["data"]["actionConfiguration"]["configuration"]["Digest"] == "sha256:0", "the variable is not there")
        s3 = client(self.sandbox, "s3", keys=job["data"]["artifactCredentials"])
        body = s3.get_object(**artifact(job, "inputArtifacts"))["Body"].read()
        expect(body == self.made, "the input is not what was built")
        failure = {"type": "JobFailed", "message": "2 tasks crashed"}
        refused(
            self.worker.put_job_failure_result,
            "ValidationException",
            jobId=job["id"],
            failureDetails={"type": "JobFailed", "message": "x" * 5001},
        )
        self.worker.put_job_failure_result(jobId=job["id"], failureDetails=failure)
        refused(self.worker.put_job_failure_result, "InvalidJobStateException", jobId=job["id"], failureDetails=failure)
        action, stage = self.state("Deploy")
        expect((action["status"], stage["status"]) == ("Failed", "Failed"), f"{action} {stage}")
        expect("2 tasks crashed" in action["errorDetails"]["message"], f"{action}")
        execution = stage["pipelineExecutionId"]
        expect(self.execution(execution) == "Failed", "the execution has not failed")
        self.driver.retry_stage_execution(
            pipelineName=self.name, stageName="Deploy", pipelineExecutionId=execution, retryMode="FAILED_ACTIONS"
        )
        again = self.claim("Deploy")
        old, new = (one["data"]["pipelineContext"] for one in (job, again))
        expect(old["pipelineExecutionId"] == new["pipelineExecutionId"], "the execution is another one")
        expect(old["action"]["actionExecutionId"] != new["action"]["actionExecutionId"], "the attempt is the same")
        self.worker.put_job_success_result(jobId=again["id"])
        until("the end of the execution", lambda: self.execution(execution) == "Succeeded")
        self.done = execution

    def abandon(self):
        execution = self.driver.start_pipeline_execution(name=self.name)["pipelineExecutionId"]
        job = self.claim("Build")
        stopped = self.driver.stop_pipeline_execution(
            pipelineName=self.name, pipelineExecutionId=execution, abandon=True, reason="the referee says so"
        )
        expect(stopped["pipelineExecutionId"] == execution, f"{stopped}")
        until("the stop", lambda: self.execution(execution) == "Stopped")
        refused(self.worker.put_job_success_result, "InvalidJobStateException", jobId=job["id"])
        failure = {"type": "JobFailed", "message": "too late"}
        refused(self.worker.put_job_failure_result, "InvalidJobStateException", jobId=job["id"], failureDetails=failure)
        nobody = "00000000-0000-4000-8000-000000000000"
        for call in (self.worker.put_job_success_result, self.worker.get_job_details):
            refused(call, "JobNotFoundException", jobId=nobody)
        self.stopped = execution

    def tell(self):
        summaries = self.driver.list_pipeline_executions(pipelineName=self.name)["pipelineExecutionSummaries"]
        told = {one["pipelineExecutionId"]: one["status"] for one in summaries}
        expect(told == {self.done: "Succeeded", self.stopped: "Stopped"}, f"{told}")
        for one in summaries:
            # botocore reads them as datetimes, whichever protocol they came in.
            expect(one["startTime"] <= one["lastUpdateTime"], f"{one}")
        details = self.driver.list_action_executions(
            pipelineName=self.name, filter={"pipelineExecutionId": self.done}
        )["actionExecutionDetails"]
        told = sorted((one["actionName"], one["status"]) for one in details)
        due = [("Build", "Succeeded"), ("Deploy", "Failed"), ("Deploy", "Succeeded"), ("Fetch", "Succeeded")]
        expect(told == due, f"{told}")


def denied(call, code, says, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        told = error.response["Error"]
        expect(told["Code"] == code, f"refused with {told['Code']}, {code} was due")
        expect(says in told["Message"], f"the refusal does not say `{says}`: {told['Message']}")
    else:
        expect(False, f"not refused, {code} was due")


def expire(checks, sandbox):
    """Keys that end while a job goes on, and the fresh ones of GetJobDetails."""
    play = Play(checks, sandbox, "hasty", CBOR, CBOR)
    with checks.check("pipelines: the keys of a job end, and GetJobDetails gives fresh ones"):
        play.make()
        job = play.claim("Build")
        place = artifact(job, "inputArtifacts")
        old = client(sandbox, "s3", keys=job["data"]["artifactCredentials"])

        def ended():
            try:
                old.get_object(**place)
            except botocore.exceptions.ClientError as error:
                expect(error.response["Error"]["Code"] == "ExpiredToken", f"{error.response['Error']}")
                return True
            return False

        until("the end of the keys", ended)
        keys = play.worker.get_job_details(jobId=job["id"])["jobDetails"]["data"]["artifactCredentials"]
        expect(client(sandbox, "s3", keys=keys).get_object(**place)["Body"].read() == play.source, "another input")
        mixed = keys | {"sessionToken": job["data"]["artifactCredentials"]["sessionToken"]}
        refused(client(sandbox, "s3", keys=mixed).get_object, "InvalidToken", **place)


def roles(checks, sandbox):
    """Another account's role: its trust policy, whose its sessions are, and how long they may last."""
    sts = client(sandbox, "sts")
    asked = {"RoleArn": DEPLOYER, "RoleSessionName": "referee"}
    with checks.check("roles: without the external id nobody assumes one, with it anybody does"):
        denied(sts.assume_role, "AccessDenied", f"sts:AssumeRole on resource: {DEPLOYER}", **asked)
        denied(sts.assume_role, "AccessDenied", "sts:AssumeRole", **asked, ExternalId="theirs")
        given = sts.assume_role(**asked, ExternalId="ours", DurationSeconds=900)
    with checks.check("roles: a session is in the role's account, and says who it is"):
        held = given["Credentials"]
        keys = {
            "accessKeyId": held["AccessKeyId"],
            "secretAccessKey": held["SecretAccessKey"],
            "sessionToken": held["SessionToken"],
        }
        told = client(sandbox, "sts", keys=keys).get_caller_identity()
        expect(told["Arn"] == "arn:aws:sts::111111111111:assumed-role/deployer/referee", f"{told['Arn']}")
        expect(told["Account"] == "111111111111", f"{told['Account']}")
        expect(told["UserId"] == given["AssumedRoleUser"]["AssumedRoleId"], f"{told['UserId']}")
        client(sandbox, "ecs", keys=keys).list_clusters()
        with open(sandbox.journal, encoding="utf-8") as file:
            last = json.loads(file.readlines()[-1])
        expect((last["operation"], last["principal"]) == ("ListClusters", told["Arn"]), f"{last['principal']}")
        wrong = keys | {"sessionToken": "made up"}
        refused(client(sandbox, "ecs", keys=wrong).list_clusters, "UnrecognizedClientException")
        refused(client(sandbox, "sts", keys=wrong).get_caller_identity, "InvalidClientTokenId")
    with checks.check("roles: a session outlasts neither its role's limit nor an hour of chaining"):
        refused(sts.assume_role, "ValidationError", **asked, ExternalId="ours", DurationSeconds=3601)
        chained = client(sandbox, "sts", keys=keys)
        other = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/other", "RoleSessionName": "chained"}
        chained.assume_role(**other)
        refused(chained.assume_role, "ValidationError", **other, DurationSeconds=3601)


def queues(checks, sandbox):
    sqs = client(sandbox, "sqs")
    with checks.check("queues: messages are sent, received, hidden and deleted"):
        url = sqs.create_queue(QueueName="wake", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
        expect(sqs.get_queue_url(QueueName="wake")["QueueUrl"] == url, url)
        # botocore proves a body by its MD5.
        for body in ("one", "zwei ü"):
            sqs.send_message(QueueUrl=url, MessageBody=body)
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20, AttributeNames=["All"])
        expect([one["Body"] for one in got["Messages"]] == ["one", "zwei ü"], f"{got}")
        expect("Messages" not in sqs.receive_message(QueueUrl=url), "they are received twice")
        first, second = (one["ReceiptHandle"] for one in got["Messages"])
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first, VisibilityTimeout=0)
        again = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["ApproximateReceiveCount"])
        (one,) = again["Messages"]
        expect(one["Attributes"]["ApproximateReceiveCount"] == "2", f"{one}")
        sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        gone = [{"Id": "a", "ReceiptHandle": second}, {"Id": "b", "ReceiptHandle": "made up"}]
        told = sqs.delete_message_batch(QueueUrl=url, Entries=gone)
        expect([one["Id"] for one in told["Successful"]] == ["a"], f"{told}")
        expect([one["Code"] for one in told["Failed"]] == ["ReceiptHandleIsInvalid"], f"{told}")
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        left = [counts[f"ApproximateNumberOfMessages{kind}"] for kind in ("", "NotVisible", "Delayed")]
        expect(left == ["0", "0", "0"], f"{left}")
    with checks.check("queues: an empty one is waited for, and a purge is refused within a minute of the last"):
        begun = time.monotonic()
        expect("Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1), "there is a message")
        expect(time.monotonic() - begun >= 1, "it was not waited for")
        sqs.purge_queue(QueueUrl=url)
        refused(sqs.purge_queue, "AWS.SimpleQueueService.PurgeQueueInProgress", QueueUrl=url)
        refused(sqs.get_queue_url, "AWS.SimpleQueueService.NonExistentQueue", QueueName="nobody")
