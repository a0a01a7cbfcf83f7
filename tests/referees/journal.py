"""Checks a sandbox's journal, request by request, against what AWS's service models and the registry's specification say.

A line is a JSON object: `time, service, operation, principal, request {method, path, headers, body}, status, response
{headers, body}`. Bodies that travelled as CBOR are told as the JSON that they say. How it nests is read leniently; what it says is read strictly. A body that is no text, or too long to keep, is
`{"bytes": SIZE, "sha256": HEX}`; a status of null says that the connection was cut, as a scenario's fault does.
"""

import hashlib
import json
import re
import urllib.parse

import botocore.parsers

import shapes

# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html and its twins of the other services.
COMMON_ERRORS = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InternalFailure",
    "InternalServerError",
    "InvalidAction",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MalformedHttpRequestException",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "RequestAbortedException",
    "RequestEntityTooLargeException",
    "RequestExpired",
    "RequestTimeoutException",
    "SerializationException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SignatureDoesNotMatch",
    "Throttling",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationError",
    "ValidationException",
}
# Refusals of a request for its form or its signature: such a request is checked no further, its far end did that.
REFUSED_FORM = {
    "AuthorizationHeaderMalformed",
    "InvalidAction",
    "InvalidArgument",
    "InvalidParameterException",
    "InvalidSignatureException",
    "SerializationException",
    "SignatureDoesNotMatch",
    "UnknownOperationException",
    "ValidationError",
    "ValidationException",
    "MalformedXML",
    "NotImplemented",
}
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; S3's model declares only a few of its errors.
S3_ERRORS = {
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "BadDigest",
    "BucketAlreadyExists",
    "BucketAlreadyOwnedByYou",
    "BucketNotEmpty",
    "EntityTooLarge",
    "EntityTooSmall",
    "ExpiredToken",
    "IncompleteBody",
    "InternalError",
    "InvalidAccessKeyId",
    "InvalidArgument",
    "InvalidBucketName",
    "InvalidDigest",
    "InvalidPart",
    "InvalidPartOrder",
    "InvalidRange",
    "InvalidRequest",
    "InvalidToken",
    "InvalidURI",
    "KMS.NotFoundException",
    "KeyTooLongError",
    "MalformedXML",
    "MethodNotAllowed",
    "MissingContentLength",
    "NoSuchBucket",
    "NoSuchKey",
    "NoSuchUpload",
    "NoSuchVersion",
    "NotImplemented",
    "NotModified",
    "PermanentRedirect",
    "PreconditionFailed",
    "RequestTimeout",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "SlowDown",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html, as awsJson names them.
SQS_ERRORS = {"InvalidParameterValueException", "MissingRequiredParameterException"}
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes, and `UNKNOWN` of the Docker registry.
REGISTRY_ERRORS = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "RANGE_INVALID",
    "SIZE_INVALID",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNKNOWN",
    "UNSUPPORTED",
}
SERVICES = {
    "cloudwatchlogs": "logs",
    "codepipeline": "codepipeline",
    "ecr": "ecr",
    "ecs": "ecs",
    "elasticloadbalancing": "elbv2",
    "elasticloadbalancingv2": "elbv2",
    "elb": "elbv2",
    "elbv2": "elbv2",
    "logs": "logs",
    "s3": "s3",
    "sqs": "sqs",
    "sts": "sts",
}
CBOR = "smithy-rpc-v2-cbor"
REGISTRY = {"registry", "ecr-registry", "v2"}
# Headers of S3 that belong to signing and transport, not to an operation.
S3_TRANSPORT = re.compile(
    r"x-amz-(date|content-sha256|security-token|user-agent|decoded-content-length|trailer|te|request-id|id-2"
    r"|sdk-checksum-algorithm|checksum-\w+|meta-.*)$"
)


# Statuses of success that the model leaves out; the API Reference's sample answers have them.
S3_STATUSES = {"GetObject": {206}, "PutBucketPolicy": {204}}


class Line:
    """One request and its answer."""

    def __init__(self, entry):
        request = entry.get("request", entry)
        response = entry.get("response", {}) or {}
        self.service = str(entry.get("service") or "").lower()
        self.operation = entry.get("operation")
        self.principal = entry.get("principal")
        self.method = str(request.get("method", "POST")).upper()
        self.path = request.get("path") or request.get("uri") or "/"
        self.request_headers = lower(request.get("headers"))
        self.request_body = request.get("body")
        self.status = entry.get("status", response.get("status"))
        self.response_headers = lower(response.get("headers"))
        self.response_body = response.get("body")
        self.fault = entry.get("fault") or (self.status is None and "status" in entry)

    def __str__(self):
        return f"{self.service} {self.operation or self.method + ' ' + self.path} ({self.status})"


def lower(headers):
    """Headers by lower-case name, whether they were written as an object or as a list of pairs."""
    pairs = headers.items() if isinstance(headers, dict) else headers or []
    return {str(name).lower(): value for name, value in pairs}


def text(body):
    if body is None:
        return ""
    return body if isinstance(body, str) else json.dumps(body)


def is_kept_as_hash(body):
    return isinstance(body, dict) and set(body) == {"bytes", "sha256"}


def body_digest(body):
    """The digest of a body's bytes; none where they were neither kept nor hashed."""
    if is_kept_as_hash(body):
        return body["sha256"] and f"sha256:{body['sha256']}"
    return "sha256:" + hashlib.sha256(body.encode()).hexdigest() if isinstance(body, str) and body else None


def check_file(path):
    """The number of lines of a journal, and each problem as `line N: what: problem`."""
    problems = []
    count = 0
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            count += 1
            for problem in check(line):
                problems.append(f"{path}:{number}: {problem}")
    return count, problems


def check(line):
    """Every problem of one journal line, given as text or as the object."""
    try:
        entry = json.loads(line) if isinstance(line, str) else line
    except json.JSONDecodeError as error:
        return [f"not JSON: {error}"]
    if not isinstance(entry, dict):
        return ["not an object"]
    problems = [f"the key `{key}` is missing" for key in ("time", "service") if key not in entry]
    told = Line(entry)
    problems += leaks(told) + check_principal(told)
    if told.service in REGISTRY:
        problems += check_registry(told)
    elif told.service in SERVICES:
        problems += check_service(told, SERVICES[told.service])
    elif not told.fault and not is_refusal(told):
        problems.append(f"unknown service `{told.service}`")
    return [f"{told}: {problem}" for problem in problems]


def is_refusal(told):
    return isinstance(told.status, int) and told.status >= 400


def leaks(told):
    """Credentials that a journal must not hold."""
    problems = []
    authorization = str(told.request_headers.get("authorization", ""))
    if re.match(r"(basic|bearer)\s+[A-Za-z0-9+/=]{12,}", authorization, re.I):
        problems.append("the request's credentials are in the journal")
    if re.search(r"Signature=[0-9a-f]{64}", authorization):
        problems.append("the request's signature is in the journal")
    if "x-amz-security-token" in told.request_headers and len(str(told.request_headers["x-amz-security-token"])) > 20:
        problems.append("the request's session token is in the journal")
    secret = r"<(SecretAccessKey|SessionToken)>(?!\[removed\]<)|\"(secretAccessKey|sessionToken)\"\s*:\s*\"(?!\[removed\]\")"
    if re.search(secret, text(told.response_body)):
        problems.append("keys that were given out are in the journal")
    return problems


def check_principal(told):
    """Whose a request is: the account's own, a session's, or nobody's who signed it."""
    session = r"arn:aws[a-z-]*:sts::\d{12}:assumed-role/[\w+=,.@-]{1,64}/[\w+=,.@-]{2,64}"
    if told.principal in (None, "account") or re.fullmatch(session, str(told.principal)):
        return []
    return [f"`{told.principal}` is no principal"]


def check_service(told, name):
    model = shapes.service(name)
    if told.operation not in model.operation_names:
        if is_refusal(told) or told.fault:
            return []
        return [f"`{told.operation}` is no operation of {name}, yet it was answered with {told.status}"]
    operation = model.operation_model(told.operation)
    protocol = protocol_of(told, model)
    if protocol not in model.metadata["protocols"]:
        return [f"speaks {protocol}, which {name} does not"]
    check_request, check_response = {
        "json": (json_request, json_response),
        CBOR: (cbor_request, cbor_response),
        "query": (query_request, query_response),
        "rest-xml": (s3_request, s3_response),
    }[protocol]
    problems = []
    error = error_code(told, model) if is_refusal(told) else None
    if error not in REFUSED_FORM:
        problems += [f"request {problem}" for problem in check_request(told, operation, model)]
    if told.fault:
        return problems
    if not isinstance(told.status, int):
        return [*problems, "the status is missing"]
    if is_refusal(told):
        problems += [f"error {problem}" for problem in check_error(told, operation, model, error)]
    else:
        problems += [f"response {problem}" for problem in check_response(told, operation)]
    return problems


def protocol_of(told, model):
    """The protocol that a request speaks: a service may speak several."""
    if told.path.startswith("/service/"):
        return CBOR
    protocols = model.metadata["protocols"]
    return "json" if "json" in protocols else protocols[0]


# --- awsJson ---------------------------------------------------------------------------------------------------------


def json_body(body):
    if isinstance(body, (dict, list)):
        return body
    return json.loads(body) if body else {}


def json_request(told, operation, model):
    problems = []
    target = told.request_headers.get("x-amz-target")
    expected = f"{model.metadata['targetPrefix']}.{operation.name}"
    if target is not None and target != expected:
        problems.append(f"x-amz-target is `{target}` instead of `{expected}`")
    problems += json_type(told.request_headers, model)
    return problems + json_shape(told.request_body, operation.input_shape)


def json_type(headers, model):
    content_type = headers.get("content-type")
    wanted = f"application/x-amz-json-{model.metadata['jsonVersion']}"
    return [f"content-type is `{content_type}`"] if content_type not in (None, wanted) else []


def json_response(told, operation):
    problems = [] if told.status == 200 else [f"status {told.status} instead of 200"]
    problems += json_type(told.response_headers, operation.service_model)
    return problems + answer_shape(told, operation)


def answer_shape(told, operation):
    # A list's shape is often shared with a request, which must name at least one; an answer may have none to name.
    found = json_shape(told.response_body, operation.output_shape)
    return [problem for problem in found if ": 0 items, at least 1 " not in problem]


def json_shape(body, shape):
    if is_kept_as_hash(body):
        return []
    try:
        value = json_body(body)
    except json.JSONDecodeError as error:
        return [f"is not JSON: {error}"]
    if shape is None:
        return [] if value in ({}, None) else ["has a body where the operation has none"]
    return shapes.walk(value, shape)


# --- smithy-rpc-v2-cbor ----------------------------------------------------------------------------------------------


def cbor_request(told, operation, model):
    problems = []
    expected = f"/service/{model.metadata['targetPrefix']}/operation/{operation.name}"
    if told.path != expected or told.method != "POST":
        problems.append(f"is a {told.method} of `{told.path}` instead of a POST of `{expected}`")
    if told.request_headers.get("smithy-protocol") != "rpc-v2-cbor":
        problems.append("has no `smithy-protocol: rpc-v2-cbor`")
    if text(told.request_body):
        problems += cbor_type(told.request_headers)
    return problems + json_shape(told.request_body, operation.input_shape)


def cbor_type(headers):
    content_type = headers.get("content-type")
    return [] if content_type == "application/cbor" else [f"content-type is `{content_type}`"]


def cbor_head(told):
    problems = cbor_type(told.response_headers)
    if told.response_headers.get("smithy-protocol") != "rpc-v2-cbor":
        problems.append("has no `smithy-protocol: rpc-v2-cbor`")
    return problems


def cbor_response(told, operation):
    problems = [] if told.status == 200 else [f"status {told.status} instead of 200"]
    return problems + cbor_head(told) + answer_shape(told, operation)


# --- query -----------------------------------------------------------------------------------------------------------


def query_request(told, operation, model):
    pairs = urllib.parse.parse_qsl(text(told.request_body), keep_blank_values=True)
    named = dict(pairs)
    problems = []
    if named.get("Action") != operation.name:
        problems.append(f"Action is `{named.get('Action')}`")
    if named.get("Version") != model.metadata["apiVersion"]:
        problems.append(f"Version is `{named.get('Version')}`")
    rest = [(key, value) for key, value in pairs if key not in ("Action", "Version")]
    if operation.input_shape is None:
        return problems + [f"parameter `{key}` where the operation has none" for key, _ in rest]
    return problems + shapes.walk_query(rest, operation.input_shape)


def query_response(told, operation):
    problems = [] if told.status == 200 else [f"status {told.status} instead of 200"]
    try:
        root = shapes.parse_xml(text(told.response_body))
    except shapes.ElementTree.ParseError as error:
        return [*problems, f"is not XML: {error}"]
    if shapes.local(root.tag) != f"{operation.name}Response":
        problems.append(f"the root is `{shapes.local(root.tag)}`")
    children = {shapes.local(child.tag): child for child in root}
    if "ResponseMetadata" not in children:
        problems.append("has no ResponseMetadata")
    shape = operation.output_shape
    if shape is None:
        return problems
    wrapper = shape.serialization.get("resultWrapper")
    if wrapper not in children:
        return [*problems, f"has no `{wrapper}`"]
    return problems + shapes.walk_xml(children[wrapper], shape) + seen_by_sdk(told, operation, "query")


def seen_by_sdk(told, operation, protocol):
    """What the parser of a real client finds missing: it reads on its own, so it may disagree with our reading."""
    answer = {"status_code": told.status, "headers": told.response_headers, "body": text(told.response_body).encode()}
    try:
        parsed = botocore.parsers.create_parser(protocol).parse(answer, operation.output_shape)
    except botocore.parsers.ResponseParserError as error:
        return [f"cannot be parsed by botocore: {error}"]
    required = operation.output_shape.required_members
    return [f"botocore does not find `{name}`" for name in required if name not in parsed]


# --- S3 (rest-xml) ---------------------------------------------------------------------------------------------------


def located(shape, location):
    """Wire names of the members at a location, lower case, with their shapes."""
    if shape is None:
        return {}
    return {
        shapes.wire_name(name, member).lower(): member
        for name, member in shape.members.items()
        if member.serialization.get("location") == location
    }


def s3_request(told, operation, _model):
    shape = operation.input_shape
    problems = []
    if told.method != operation.http["method"]:
        problems.append(f"is a {told.method} instead of a {operation.http['method']}")
    fixed = urllib.parse.urlsplit(operation.http["requestUri"]).query
    known = set(located(shape, "querystring")) | {part.split("=")[0] for part in fixed.split("&")} | {"x-id"}
    query = urllib.parse.parse_qsl(urllib.parse.urlsplit(told.path).query, keep_blank_values=True)
    problems += [f"unknown query parameter `{key}`" for key, _ in query if key.lower() not in known]
    headers = located(shape, "header")
    for name, value in told.request_headers.items():
        if name in headers:
            problems += header_value(name, value, headers[name])
        elif name.startswith("x-amz-") and not S3_TRANSPORT.match(name):
            problems.append(f"unknown header `{name}`")
    return problems + s3_request_body(told, shape)


def s3_request_body(told, shape):
    """A body that is a document (the parts of an upload, the keys to delete) is checked; an object's bytes are not."""
    payload = shape.serialization.get("payload") if shape else None
    if not payload or shape.members[payload].type_name != "structure" or not text(told.request_body):
        return []
    try:
        root = shapes.parse_xml(text(told.request_body))
    except shapes.ElementTree.ParseError as error:
        return [f"is not XML: {error}"]
    return shapes.walk_xml(root, shape.members[payload])


def header_value(name, value, shape):
    problems = []
    if shape.type_name not in ("timestamp", "blob", "structure", "map"):
        typed = shapes.scalar(str(value), shape, name, problems)
        return problems or shapes.walk(typed, shape, name)
    return problems


def s3_response(told, operation):
    shape = operation.output_shape
    allowed = {operation.http.get("responseCode", 200)} | S3_STATUSES.get(operation.name, set())
    problems = [] if told.status in allowed else [f"status {told.status} instead of {sorted(allowed)}"]
    headers = located(shape, "header")
    for name, value in told.response_headers.items():
        if name in headers:
            problems += header_value(name, value, headers[name])
        elif name.startswith("x-amz-") and not S3_TRANSPORT.match(name):
            problems.append(f"unknown header `{name}`")
    body = text(told.response_body)
    if shape is None:
        return problems + (["has a body where the operation has none"] if body else [])
    payload = shape.serialization.get("payload")
    if payload:
        shape = shape.members[payload]
        if shape.type_name != "structure":
            return problems
    elif not shapes.body_members(shape):
        return problems + (["has a body where the operation has none"] if body else [])
    try:
        root = shapes.parse_xml(body)
    except shapes.ElementTree.ParseError as error:
        return [*problems, f"is not XML: {error}"]
    return problems + shapes.walk_xml(root, shape)


# --- errors ----------------------------------------------------------------------------------------------------------


def error_code(told, model):
    """The code of a refusal, as a client of the protocol reads it; none when the answer names none."""
    if protocol_of(told, model) in ("json", CBOR):
        try:
            body = json_body(told.response_body)
        except json.JSONDecodeError:
            return None
        kind = told.response_headers.get("x-amzn-errortype") or (body.get("__type") if isinstance(body, dict) else None)
        return re.split(r"[#:]", kind)[-1] if kind and "#" in kind else (kind or "").split(":")[0] or None
    try:
        root = shapes.parse_xml(text(told.response_body))
    except shapes.ElementTree.ParseError:
        return None
    return next((element.text for element in root.iter() if shapes.local(element.tag) == "Code"), None)


def check_error(told, operation, model, code):
    if told.method == "HEAD":
        return [] if not text(told.response_body) else ["an answer to HEAD has a body"]
    if code is None:
        return ["names no error code"]
    declared = {shape.error_code: shape for shape in operation.error_shapes}
    declared |= {shape.name: shape for shape in operation.error_shapes}
    common = COMMON_ERRORS | {"s3": S3_ERRORS, "sqs": SQS_ERRORS}.get(model.service_name, set())
    problems = []
    if code not in declared and code not in common:
        problems.append(f"`{code}` is not declared by {operation.name}")
    shape = declared.get(code)
    if shape is not None:
        # botocore's metadata leaves `fault` out; the model beneath has it.
        fault = shape._shape_model.get("fault", False)
        if (told.status >= 500) != fault:
            problems.append(f"status {told.status} for {code}, a fault of the {'server' if fault else 'client'}")
    protocol = protocol_of(told, model)
    if protocol == CBOR:
        problems += cbor_head(told)
    if protocol in ("json", CBOR):
        problems += json_error(told, shape)
    elif not re.search(r"<Message>[^<]+</Message>", text(told.response_body)):
        problems.append("has no message")
    return problems


def json_error(told, shape):
    body = json_body(told.response_body)
    rest = {key: value for key, value in body.items() if key not in ("__type", "message", "Message")}
    problems = [] if body.get("message") or body.get("Message") else ["has no message"]
    if shape is None:
        return problems + [f"unknown member `{key}`" for key in rest]
    problem_of_message = re.compile(r"required member `[mM]essage`")
    return problems + [p for p in shapes.walk(rest, shape) if not problem_of_message.search(p)]


# --- the registry ----------------------------------------------------------------------------------------------------

NAME = r"(?P<name>[a-z0-9]+([._/-]+[a-z0-9]+)*)"
DIGEST = r"sha256:[0-9a-f]{64}"
# Route, and per method the statuses of success that the distribution specification names for it.
ROUTES = [
    (re.compile(r"/v2/?$"), {"GET": {200}, "HEAD": {200}}),
    (re.compile(rf"/v2/{NAME}/tags/list$"), {"GET": {200}}),
    (re.compile(rf"/v2/{NAME}/manifests/(?P<ref>[^/]+)$"), {"GET": {200}, "HEAD": {200}, "PUT": {201}, "DELETE": {202}}),
    (
        re.compile(rf"/v2/{NAME}/blobs/(?P<digest>{DIGEST})$"),
        {"GET": {200, 206, 307}, "HEAD": {200, 307}, "DELETE": {202}},
    ),
    (re.compile(rf"/v2/{NAME}/blobs/uploads/?$"), {"POST": {201, 202}}),
    # No route of the specification: ECR redirects a GET of a blob to a presigned URL of S3.
    (re.compile(rf"/prod-[a-z0-9-]+-starport-layer-bucket/{NAME}/(?P<digest>{DIGEST})$"), {"GET": {200, 206}}),
    (
        re.compile(rf"/v2/{NAME}/blobs/uploads/[^/]+$"),
        # ECR answers a PATCH with 201, against the specification; clients live with it.
        {"GET": {204}, "PATCH": {201, 202}, "PUT": {201}, "DELETE": {204}},
    ),
]


def check_registry(told):
    if told.fault:
        return []
    path = urllib.parse.urlsplit(told.path).path
    route = next(((match, methods) for regex, methods in ROUTES if (match := regex.match(path))), None)
    if is_refusal(told):
        return registry_error(told)
    if route is None:
        return [f"no route of the specification, yet it was answered with {told.status}"]
    match, methods = route
    if told.method not in methods:
        return [f"{told.method} is not specified here, yet it was answered with {told.status}"]
    problems = []
    if told.status not in methods[told.method]:
        problems.append(f"status {told.status}, specified are {sorted(methods[told.method])}")
    if told.status in (201, 202) and told.method in ("POST", "PATCH", "PUT") and "location" not in told.response_headers:
        problems.append("has no Location")
    return problems + registry_digest(told, match)


def registry_digest(told, match):
    """A digest that is promised must be the digest of what was sent."""
    promised = told.response_headers.get("docker-content-digest")
    groups = match.groupdict()
    problems = []
    if "ref" in groups and told.method in ("GET", "HEAD", "PUT"):
        if promised is None:
            return ["has no Docker-Content-Digest"]
        if re.fullmatch(DIGEST, groups["ref"]) and groups["ref"] != promised:
            problems.append(f"promises {promised} for {groups['ref']}")
        found = body_digest(told.response_body if told.method == "GET" else told.request_body)
        if told.method != "HEAD" and found and found != promised:
            problems.append(f"promises {promised} for a body of {found}")
    if "digest" in groups and told.method == "GET" and told.status == 200:
        found = body_digest(told.response_body)
        if found and found != groups["digest"]:
            problems.append(f"{groups['digest']} is a body of {found}")
    return problems


def registry_error(told):
    problems = []
    if told.status == 401 and "www-authenticate" not in told.response_headers:
        problems.append("401 without WWW-Authenticate")
    if told.method == "HEAD":
        return problems
    try:
        body = json_body(told.response_body)
        errors = body["errors"]
        codes = [error["code"] for error in errors]
    except (json.JSONDecodeError, KeyError, TypeError):
        return [*problems, 'the body is not `{"errors": [{"code": ...}]}`']
    return problems + [f"error code `{code}` is not specified" for code in codes if code not in REGISTRY_ERRORS]
