"""The journal referee itself: good lines pass, and every kind of bad line is caught for its own reason."""

import copy
import unittest
import urllib.parse

import botocore.serialize

import journal
import shapes

NOW = 1767225600.25
SERVICE_ARN = "arn:aws:ecs:eu-west-1:000000000000:service/prod/web"


def line(service, operation, request, response, status=200, **more):
    """An awsJson exchange."""
    target = f"{shapes.service(service).metadata['targetPrefix']}.{operation}"
    return {
        "time": "2026-01-01T00:00:00Z",
        "service": service,
        "operation": operation,
        "request": {
            "method": "POST",
            "path": "/",
            "headers": {"x-amz-target": target, "content-type": "application/x-amz-json-1.1"},
            "body": request,
        },
        "status": status,
        "response": {"headers": {"content-type": "application/x-amz-json-1.1"}, "body": response},
        **more,
    }


def described():
    """A DescribeServices exchange without a fault."""
    service = {
        "serviceArn": SERVICE_ARN,
        "serviceName": "web",
        "status": "ACTIVE",
        "desiredCount": 2,
        "runningCount": 2,
        "pendingCount": 0,
        "launchType": "FARGATE",
        "createdAt": NOW,
        "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY", "rolloutState": "COMPLETED", "createdAt": NOW}],
        "enableECSManagedTags": False,
    }
    return line("ecs", "DescribeServices", {"services": ["web"]}, {"services": [service], "failures": []})


def changed(*path, to):
    """The good exchange with one place changed, or removed where `to` is `REMOVED`."""
    entry = copy.deepcopy(described())
    place = entry
    for part in path[:-1]:
        place = place[part]
    if to is REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return entry


REMOVED = object()
SERVICE = ("response", "body", "services", 0)
TARGET_HEALTH = """<DescribeTargetHealthResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">
<DescribeTargetHealthResult><TargetHealthDescriptions><member><Target><Id>10.0.0.1</Id><Port>8080</Port></Target>
<TargetHealth><State>healthy</State></TargetHealth></member></TargetHealthDescriptions></DescribeTargetHealthResult>
<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DescribeTargetHealthResponse>"""
GROUP = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/web/1"
LISTING = """<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix/><KeyCount>1</KeyCount>
<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents><Key>k</Key>
<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;d&quot;</ETag><Size>4</Size>
<StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"""


REVISIONS = {
    "pipelineExecutionSummaries": [
        {"pipelineExecutionId": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "status": "Succeeded", "startTime": NOW}
    ]
}
ASSUMED = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser>
<AssumedRoleId>AROASANDBOX0000000000:job</AssumedRoleId><Arn>arn:aws:sts::000000000000:assumed-role/deployer/job</Arn>
</AssumedRoleUser><Credentials><AccessKeyId>ASIASANDBOX000000001</AccessKeyId>
<SecretAccessKey>[removed]</SecretAccessKey><SessionToken>[removed]</SessionToken>
<Expiration>2026-01-01T01:00:00Z</Expiration></Credentials></AssumeRoleResult>
<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"""
SQS = {"content-type": "application/x-amz-json-1.0"}


def cbor(response, status=200, request='{"pipelineName": "shop"}', **headers):
    """A ListPipelineExecutions exchange in CBOR, told as JSON; a header that is None is left out."""
    kept = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
    kept |= {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in kept.items() if value is not None}
    return {
        "time": NOW,
        "service": "codepipeline",
        "operation": "ListPipelineExecutions",
        "principal": "account",
        "request": {
            "method": "POST",
            "path": "/service/CodePipeline_20150709/operation/ListPipelineExecutions",
            "headers": {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"},
            "body": request,
        },
        "status": status,
        "response": {"headers": kept, "body": response},
    }


def assumed(request="&DurationSeconds=900", response=ASSUMED):
    role = "arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Fdeployer"
    body = f"Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=job{request}"
    return {
        "time": NOW,
        "service": "sts",
        "operation": "AssumeRole",
        "principal": "account",
        "request": {"method": "POST", "path": "/", "headers": {}, "body": body},
        "status": 200,
        "response": {"headers": {}, "body": response},
    }


def received(response, status=200, **request):
    """A ReceiveMessage exchange."""
    asked = {"QueueUrl": "http://127.0.0.1/000000000000/wake", **request}
    entry = line("sqs", "ReceiveMessage", asked, response, status)
    for side in (entry["request"], entry["response"]):
        side["headers"] = side["headers"] | SQS
    return entry


def query(body="", response=TARGET_HEALTH, status=200):
    request = f"Action=DescribeTargetHealth&Version=2015-12-01&TargetGroupArn={GROUP}{body}"
    return {
        "time": NOW,
        "service": "elbv2",
        "operation": "DescribeTargetHealth",
        "request": {"method": "POST", "path": "/", "headers": {}, "body": request},
        "status": status,
        "response": {"headers": {}, "body": response},
    }


def s3(operation="ListObjectsV2", path="/b?list-type=2&prefix=", body=LISTING, status=200, method="GET", **headers):
    return {
        "time": NOW,
        "service": "s3",
        "operation": operation,
        "request": {"method": method, "path": path, "headers": {}},
        "status": status,
        "response": {"headers": {name.replace("_", "-"): value for name, value in headers.items()}, "body": body},
    }


def completed(parts):
    """A CompleteMultipartUpload exchange."""
    answer = "<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key></CompleteMultipartUploadResult>"
    entry = s3("CompleteMultipartUpload", "/b/k?uploadId=1", answer, method="POST")
    entry["request"]["body"] = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
    return entry


def registry(method, path, status, body=None, **headers):
    return {
        "time": NOW,
        "service": "registry",
        "operation": None,
        "request": {"method": method, "path": path, "headers": {}},
        "status": status,
        "response": {"headers": {name.replace("_", "-"): value for name, value in headers.items()}, "body": body},
    }


class Good(unittest.TestCase):
    """Lines that AWS could have written."""

    def good(self, entry):
        self.assertEqual(journal.check(entry), [])

    def test_a_description(self):
        self.good(described())

    def test_an_empty_list_in_an_answer(self):
        asked = {"repositoryName": "shop/web", "imageIds": [{"imageTag": "1"}]}
        self.good(line("ecr", "BatchDeleteImage", asked, {"imageIds": [], "failures": []}))

    def test_a_bad_request_that_was_refused_as_such(self):
        body = {"__type": "InvalidParameterException", "message": "Services cannot be empty."}
        self.good(line("ecs", "DescribeServices", {}, body, status=400))

    def test_a_declared_error(self):
        body = {"__type": "ClusterNotFoundException", "message": "Cluster not found."}
        self.good(line("ecs", "DescribeServices", {"services": ["web"]}, body, status=400))

    def test_a_common_error_with_a_namespace(self):
        body = {"__type": "com.amazon.coral.availability#ThrottlingException", "message": "Rate exceeded"}
        self.good(line("ecs", "DescribeServices", {"services": ["web"]}, body, status=400))

    def test_an_unknown_operation_that_was_refused(self):
        body = {"__type": "UnknownOperationException", "message": "no"}
        entry = line("ecs", "DescribeServices", {"nonsense": 1}, body, status=400)
        self.good({**entry, "operation": "MakeCoffee"})

    def test_a_query_exchange(self):
        self.good(query("&Targets.member.1.Id=10.0.0.1&Targets.member.1.Port=8080"))

    def test_the_same_operation_in_both_protocols(self):
        self.good(cbor(REVISIONS))
        self.good(line("codepipeline", "ListPipelineExecutions", {"pipelineName": "shop"}, REVISIONS))
        for gone in ("PipelineNotFoundException", "com.amazonaws.codepipeline#PipelineNotFoundException"):
            body = {"__type": gone, "message": "gone"}
            self.good(cbor(body, 400))
            self.good(line("codepipeline", "ListPipelineExecutions", {"pipelineName": "shop"}, body, 400))

    def test_a_role_that_is_assumed_and_what_its_session_asks(self):
        self.good(assumed())
        self.good({**described(), "principal": "arn:aws:sts::111111111111:assumed-role/deployer/slipway-1"})
        self.good({**described(), "principal": None})

    def test_a_queue(self):
        self.good(received({"Messages": [{"MessageId": "1", "ReceiptHandle": "r", "Body": "b", "MD5OfBody": "m"}]}))
        self.good(received({}, MaxNumberOfMessages=10, WaitTimeSeconds=20))
        for code in ("com.amazonaws.sqs#QueueDoesNotExist", "InvalidParameterValueException"):
            self.good(received({"__type": code, "message": "m"}, 400))

    def test_a_listing(self):
        self.good(s3())

    def test_an_upload_in_parts(self):
        self.good(completed("<Part><ETag>d</ETag><PartNumber>1</PartNumber></Part>"))

    def test_a_missing_key_of_s3(self):
        body = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
        self.good(s3("GetObject", "/b/k", body, 404))

    def test_a_manifest(self):
        digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        self.good(registry("GET", "/v2/shop/web/manifests/1", 200, "{}", docker_content_digest=digest))

    def test_a_manifest_that_was_kept_as_its_hash(self):
        body = {"bytes": 2, "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}
        digest = "sha256:" + body["sha256"]
        self.good(registry("GET", "/v2/shop/web/manifests/1", 200, body, docker_content_digest=digest))

    def test_a_layer_behind_its_redirect(self):
        body = {"bytes": 2, "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}
        path = f"/prod-eu-west-1-starport-layer-bucket/shop/web/sha256:{body['sha256']}?X-Amz-Signature=[removed]"
        self.good(registry("GET", path, 200, body))

    def test_a_connection_that_was_cut(self):
        self.good(changed("status", to=None))

    def test_a_registry_error(self):
        body = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}
        self.good(registry("GET", "/v2/shop/web/manifests/1", 404, body))


class Serialised(unittest.TestCase):
    """What botocore itself sends is good: the referee asks for nothing that a real client does not do."""

    ASKED = [
        ("ecs", "RegisterTaskDefinition", {
            "family": "web",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "containerDefinitions": [{
                "name": "web",
                "image": "shop/web",
                "essential": True,
                "dockerLabels": {"team": "shop"},
                "healthCheck": {"command": ["CMD", "/web"], "interval": 5},
                "linuxParameters": {"initProcessEnabled": True},
            }],
            "tags": [{"key": "team", "value": "shop"}],
        }),
        ("ecs", "UpdateService", {"cluster": "prod", "service": "web", "desiredCount": 2, "forceNewDeployment": True}),
        ("ecr", "BatchGetImage", {"repositoryName": "shop/web", "imageIds": [{"imageTag": "1"}]}),
        ("logs", "GetLogEvents", {"logGroupName": "/ecs/web", "logStreamName": "web/web/1", "startFromHead": True}),
        ("elbv2", "DescribeTargetHealth", {"TargetGroupArn": GROUP, "Targets": [{"Id": "10.0.0.1", "Port": 80}]}),
        ("elbv2", "ModifyTargetGroupAttributes", {
            "TargetGroupArn": GROUP,
            "Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}, {"Key": "a", "Value": "b"}],
        }),
        ("elbv2", "DescribeTargetGroups", {}),
        ("sts", "GetCallerIdentity", {}),
        ("s3", "ListObjectsV2", {"Bucket": "b", "Prefix": "p", "MaxKeys": 5}),
        ("s3", "PutObject", {"Bucket": "b", "Key": "k", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key"}),
        ("s3", "CompleteMultipartUpload", {
            "Bucket": "b",
            "Key": "k",
            "UploadId": "1",
            "MultipartUpload": {"Parts": [{"ETag": "d", "PartNumber": 1}, {"ETag": "e", "PartNumber": 2}]},
        }),
    ]

    def test_requests(self):
        for name, operation, parameters in self.ASKED:
            with self.subTest(operation=operation):
                model = shapes.service(name)
                sent = botocore.serialize.create_serializer(model.metadata["protocol"]).serialize_to_request(
                    parameters, model.operation_model(operation)
                )
                body = sent["body"]
                if isinstance(body, dict):
                    body = urllib.parse.urlencode(body)
                query = urllib.parse.urlencode(sent.get("query_string") or {})
                told = journal.Line({
                    "service": name,
                    "operation": operation,
                    "request": {
                        "method": sent["method"],
                        "path": sent["url_path"] + (("&" if "?" in sent["url_path"] else "?") + query if query else ""),
                        "headers": dict(sent["headers"]),
                        "body": body.decode() if isinstance(body, bytes) else body,
                    },
                    "status": None,
                })
                self.assertEqual(journal.check_service(told, name), [])


class Bad(unittest.TestCase):
    """Lines that AWS could not have written; each must be caught for its own reason."""

    def bad(self, entry, reason):
        problems = journal.check(entry)
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(reason, problems[0])

    def test_json_exchanges(self):
        table = [
            (changed(*SERVICE, "colour", to="red"), "unknown member `colour`"),
            (changed("request", "body", "service", to="web"), "unknown member `service`"),
            (changed("request", "body", "services", to=REMOVED), "required member `services`"),
            (changed("request", "body", "services", to="web"), "a string instead of a list"),
            (changed(*SERVICE, "desiredCount", to="2"), "a string instead of an integer"),
            (changed(*SERVICE, "desiredCount", to=2.0), "a number instead of an integer"),
            (changed(*SERVICE, "desiredCount", to=True), "a boolean instead of an integer"),
            (changed(*SERVICE, "desiredCount", to=2**31), "does not fit 32 bits"),
            (changed(*SERVICE, "desiredCount", to=None), "null, where AWS leaves the member out"),
            (changed(*SERVICE, "enableECSManagedTags", to="false"), "a string instead of a boolean"),
            (changed(*SERVICE, "createdAt", to="2026-01-01T00:00:00Z"), "a string instead of epoch seconds"),
            (changed(*SERVICE, "createdAt", to=NOW * 1000), "no plausible time"),
            (changed(*SERVICE, "launchType", to="LAMBDA"), "`LAMBDA` is not one of LaunchType"),
            (changed(*SERVICE, "deployments", 0, "rolloutState", to="DONE"), "`DONE` is not one of"),
            (changed(*SERVICE, "deployments", to={}), "an object instead of a list"),
            (changed("response", "body", to="<html>"), "is not JSON"),
            (changed("request", "headers", "x-amz-target", to="ECS.DescribeServices"), "x-amz-target is"),
            (changed("response", "headers", "content-type", to="application/json"), "content-type is"),
            (changed("status", to=201), "status 201 instead of 200"),
            (changed("status", to=REMOVED), "the status is missing"),
            (changed("time", to=REMOVED), "the key `time` is missing"),
            (changed("service", to="ec2"), "unknown service `ec2`"),
            (changed("operation", to="MakeCoffee"), "no operation of ecs, yet it was answered with 200"),
        ]
        for entry, reason in table:
            with self.subTest(reason=reason):
                self.bad(entry, reason)

    def test_json_errors(self):
        table = [
            ({"__type": "ServiceNotFoundException", "message": "m"}, 400, "is not declared by DescribeServices"),
            ({"__type": "ClusterNotFoundException", "message": "m"}, 500, "a fault of the client"),
            ({"__type": "ServerException", "message": "m"}, 400, "a fault of the server"),
            ({"__type": "ClusterNotFoundException"}, 400, "has no message"),
            ({"__type": "ClusterNotFoundException", "message": "m", "hint": "h"}, 400, "unknown member `hint`"),
            ({"message": "m"}, 400, "names no error code"),
        ]
        for body, status, reason in table:
            with self.subTest(reason=reason):
                self.bad(line("ecs", "DescribeServices", {"services": ["web"]}, body, status), reason)

    def test_bounds_and_patterns(self):
        name = {"repositoryName": "UPPER"}
        self.bad(line("ecr", "DescribeImages", name, {}), "does not match")
        self.bad(line("ecr", "DescribeImages", {"repositoryName": "a"}, {}), "at least 2")
        asked = {"repositoryName": "shop/web", "imageIds": []}
        self.bad(line("ecr", "BatchDeleteImage", asked, {}), "0 items, at least 1")
        asked = {"repositoryName": "shop/web", "maxResults": 1001}
        self.bad(line("ecr", "DescribeImages", asked, {}), "at most 1000")
        layer = {"repositoryName": "shop/web", "uploadId": "0" * 8 + "-0000-0000-0000-" + "0" * 12}
        part = {**layer, "partFirstByte": 0, "partLastByte": 3, "layerPartBlob": "not base64!"}
        self.bad(line("ecr", "UploadLayerPart", part, {}), "not base64")

    def test_query_exchanges(self):
        table = [
            (query("&Colour=red"), "unknown parameter `Colour`"),
            (query("&Targets.member.1.Port=80"), "required member `Id`"),
            (query("&Targets.member.2.Id=a"), "not a list of"),
            (query("&Targets.member.1.Id=a&Targets.member.1.Port=http"), "`http` is no integer"),
            (query(response=TARGET_HEALTH.replace("healthy", "fine")), "`fine` is not one of"),
            (query(response=TARGET_HEALTH.replace("State>", "Mood>")), "unknown element `Mood`"),
            (query(response=TARGET_HEALTH.replace("ResponseMetadata", "Metadata")), "no ResponseMetadata"),
            (query(response="{}"), "is not XML"),
        ]
        for entry, reason in table:
            with self.subTest(reason=reason):
                self.bad(entry, reason)

    def test_s3_exchanges(self):
        table = [
            (s3(body=LISTING.replace("Size>", "Bytes>")), "unknown element `Bytes`"),
            (s3(body=LISTING.replace(">1000<", ">many<")), "`many` is no integer"),
            (s3(body=LISTING.replace("STANDARD", "CHEAP")), "`CHEAP` is not one of"),
            (s3(path="/b?list-type=2&color=red"), "unknown query parameter `color`"),
            (s3(x_amz_colour="red"), "unknown header `x-amz-colour`"),
            (s3(method="POST"), "is a POST instead of a GET"),
            (s3(status=201), "status 201 instead of [200]"),
            (s3("PutObject", "/b/k", "<x/>", method="PUT"), "has a body where"),
            (completed("<Part><ETag>d</ETag><PartNumber>one</PartNumber></Part>"), "`one` is no integer"),
            (completed("<Piece/>"), "unknown element `Piece`"),
            (s3("GetObject", "/b/k", "<Error><Code>Lost</Code><Message>m</Message></Error>", 404), "not declared by"),
            (s3("GetObject", "/b/k", "<Error><Code>NoSuchKey</Code></Error>", 404), "has no message"),
        ]
        for entry, reason in table:
            with self.subTest(reason=reason):
                self.bad(entry, reason)

    def test_registry_exchanges(self):
        wrong = "sha256:" + "0" * 64
        table = [
            (registry("GET", "/v2/a/manifests/1", 200, "{}", docker_content_digest=wrong), "promises sha256:000"),
            (
                registry("GET", "/v2/a/manifests/1", 200, {"bytes": 2, "sha256": "1" * 64}, docker_content_digest=wrong),
                "for a body of sha256:111",
            ),
            (registry("GET", "/v2/a/manifests/1", 200, "{}"), "no Docker-Content-Digest"),
            (registry("GET", f"/v2/a/blobs/{wrong}", 200, "{}"), f"{wrong} is a body of"),
            (registry("POST", "/v2/a/blobs/uploads/", 202), "no Location"),
            (registry("PUT", "/v2/a/blobs/uploads/1", 200, None, location="/"), "specified are [201]"),
            (registry("GET", "/v2/a/secrets/1", 200), "no route of the specification"),
            (registry("POST", "/v2/a/manifests/1", 200), "is not specified here"),
            (registry("GET", "/v2/", 401, {"errors": [{"code": "UNAUTHORIZED"}]}), "without WWW-Authenticate"),
            (registry("GET", "/v2/a/tags/list", 404, {"error": "no"}), "the body is not"),
            (registry("GET", "/v2/a/tags/list", 404, {"errors": [{"code": "GONE"}]}), "`GONE` is not specified"),
        ]
        for entry, reason in table:
            with self.subTest(reason=reason):
                self.bad(entry, reason)

    def test_exchanges_in_cbor(self):
        gone = {"__type": "PipelineNotFoundException", "message": "gone"}
        wrong = copy.deepcopy(REVISIONS)
        wrong["pipelineExecutionSummaries"][0]["startTime"] = "2026-01-01T00:00:00Z"
        elsewhere = cbor(REVISIONS)
        elsewhere["request"]["path"] = "/service/CodePipeline_20150709/operation/ListPipelines"
        foreign = described()
        foreign["request"]["path"] = "/service/AmazonEC2ContainerServiceV20141113/operation/DescribeServices"
        unnamed = cbor(REVISIONS)
        del unnamed["request"]["headers"]["smithy-protocol"]
        table = [
            (cbor(wrong), "instead of epoch seconds"),
            (cbor({"colour": "red"}), "unknown member `colour`"),
            (cbor(REVISIONS, request='{"pipelineName": 1}'), "a number instead of a string"),
            (cbor(REVISIONS, content_type="application/json"), "content-type is `application/json`"),
            (cbor(REVISIONS, smithy_protocol=None), "response has no `smithy-protocol"),
            (unnamed, "request has no `smithy-protocol"),
            (cbor(gone, 400, smithy_protocol=None), "error has no `smithy-protocol"),
            (cbor({"__type": "JobNotFoundException", "message": "m"}, 400), "not declared by"),
            (elsewhere, "instead of a POST of"),
            (foreign, "speaks smithy-rpc-v2-cbor, which ecs does not"),
        ]
        for entry, reason in table:
            with self.subTest(reason=reason):
                self.bad(entry, reason)

    def test_exchanges_of_roles_and_queues(self):
        old = line("sqs", "PurgeQueue", {"QueueUrl": "u"}, {})
        old["request"]["headers"] |= SQS
        table = [
            (assumed("&DurationSeconds=899"), "at least 900"),
            (assumed("&Colour=red"), "unknown parameter `Colour`"),
            (assumed(response=ASSUMED.replace("Expiration>", "Ends>")), "unknown element `Ends`"),
            (received({"Messages": [{"Colour": "red"}]}), "unknown member `Colour`"),
            (received({}, MaxNumberOfMessages="10"), "a string instead of an integer"),
            (received({"__type": "com.amazonaws.sqs#JobNotFoundException", "message": "m"}, 400), "not declared by"),
            (old, "content-type is `application/x-amz-json-1.1`"),
        ]
        for entry, reason in table:
            with self.subTest(reason=reason):
                self.bad(entry, reason)

    def test_a_principal_that_nobody_is(self):
        for principal in ("root", "arn:aws:sts::000000000000:assumed-role/deployer", "ASIASANDBOX000000001"):
            self.bad({**described(), "principal": principal}, "is no principal")

    def test_a_journal_with_credentials(self):
        signature = "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=" + "0" * 64
        self.bad(changed("request", "headers", "authorization", to=signature), "signature is in the journal")
        self.bad(changed("request", "headers", "authorization", to="Basic QVdTOnNlY3JldA=="), "credentials are in")
        self.bad(assumed(response=ASSUMED.replace("[removed]", "key", 1)), "keys that were given out are in")
        keys = {"accessKeyId": "ASIA1", "secretAccessKey": "key", "sessionToken": "[removed]"}
        job = {"jobs": [{"data": {"artifactCredentials": keys}}]}
        kind = {"actionTypeId": {"category": "Build", "owner": "Custom", "provider": "Slipway", "version": "1"}}
        self.bad(line("codepipeline", "PollForJobs", kind, job), "keys that were given out are in")

    def test_a_line_that_is_not_json(self):
        self.assertEqual(len(journal.check("{")), 1)
        self.assertEqual(journal.check("[]"), ["not an object"])


if __name__ == "__main__":
    unittest.main()
