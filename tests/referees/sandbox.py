"""Starts `slipway sandbox` for a referee, and small clients that share nothing with slipway's."""

import base64
import contextlib
import gzip
import hashlib
import http.client
import io
import json
import os
import queue
import shutil
import subprocess
import sys
import tarfile
import threading
import urllib.parse

import boto3
import botocore.config

REGION = "eu-west-1"
ACCOUNT = "000000000000"
START_LIMIT = 20  # seconds
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Failed(Exception):
    """A referee's finding, in one line."""


def expect(condition, finding):
    if not condition:
        raise Failed(finding)


class Checks:
    """Runs named checks and counts them; one that fails does not stop the others."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    @contextlib.contextmanager
    def check(self, name):
        try:
            yield
        except (Failed, AssertionError, KeyError, OSError, subprocess.SubprocessError) as error:
            self.fail(name, error)
        except Exception as error:  # noqa: BLE001 - botocore's errors share no better ancestor
            self.fail(name, f"{type(error).__name__}: {error}")
        else:
            self.passed += 1
            print(f"ok    {name}", flush=True)

    def fail(self, name, error):
        self.failed += 1
        print(f"FAIL  {name}: {error}", flush=True)


class Sandbox:
    """A sandbox that serves; end it with `stop`, or use it in a `with` statement."""

    def __init__(self, slipway, folder, *arguments):
        self.folder = folder
        self.journal = os.path.join(folder, "journal.jsonl")
        self.log = os.path.join(folder, "sandbox.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [slipway, "sandbox", "--region", REGION, "--port", "0", "--journal", self.journal, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=clean_environment(),
            )
        try:
            self.endpoint = self.first_line()
            self.port = urllib.parse.urlsplit(self.endpoint).port
        except BaseException:
            self.stop()
            raise
        self.environment = clean_environment() | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_PAGER": "",
        }

    def first_line(self):
        lines = queue.Queue()
        threading.Thread(target=lambda: lines.put(self.process.stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=START_LIMIT).decode().strip()
        except queue.Empty:
            raise Failed(f"the sandbox printed no endpoint in {START_LIMIT} s: {self.tail()}") from None
        expect(line.startswith("http://127.0.0.1:"), f"the sandbox printed `{line}` and no endpoint: {self.tail()}")
        return line

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return " / ".join(log.read().strip().splitlines()[-5:]) or "its log is empty"

    def client(self, service):
        """A boto3 client that retries nothing, so that a refusal is seen once and as it is."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
            config=botocore.config.Config(
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
                parameter_validation=True,
            ),
        )

    def aws(self, *arguments, limit=120):
        """What the AWS CLI prints; it fails when the CLI does."""
        command = [os.path.join(os.path.dirname(sys.executable), "aws"), *arguments]
        return run(command, limit, self.environment)

    def slipway(self, slipway, *arguments, limit=300):
        return run([slipway, *arguments], limit, self.environment)

    def password(self):
        """The password of `GetAuthorizationToken`, whose user is `AWS`."""
        token = self.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(token).decode().partition(":")
        expect(user == "AWS", f"the authorisation token is for `{user}` instead of `AWS`")
        return password

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failed("the sandbox did not end within 30 s of SIGTERM") from None
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def clean_environment():
    """The environment without anybody's AWS settings: a referee must never reach a real account."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "SLIPWAY_"))}
    nowhere = os.path.join(os.sep, "nonexistent")
    return kept | {
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def run(command, limit, environment=None):
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment, check=False)
    if done.returncode != 0:
        last = " / ".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        raise Failed(f"`{os.path.basename(command[0])} {' '.join(command[1:4])}` ended with {done.returncode}: {last}")
    return done.stdout


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def image(marker):
    """A one-layer image as (manifest, config, layer), byte for byte the same on every run."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        entry = tarfile.TarInfo("marker")
        entry.size = len(marker)
        writer.addfile(entry, io.BytesIO(marker))
    # Compressed, because skopeo compresses a layer that is not, and the digest would be another one.
    layer = gzip.compress(archive.getvalue(), mtime=0)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/marker"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(archive.getvalue())]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": digest(layer), "size": len(layer)}],
        }
    ).encode()
    return manifest, config, layer


class Registry:
    """A client of the registry protocol in forty lines."""

    def __init__(self, port, password=None):
        self.port = port
        self.headers = {}
        if password is not None:
            self.headers["authorization"] = "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, self.headers | named)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def push_blob(self, repository, content):
        status, headers, _ = self.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
        expect(status == 202, f"the upload began with {status}")
        place = urllib.parse.urlsplit(headers["location"])
        query = f"{place.query}&" if place.query else ""
        path = f"{place.path}?{query}digest={urllib.parse.quote(digest(content))}"
        status, _, body = self.ask("PUT", path, content, content_type="application/octet-stream")
        expect(status == 201, f"the upload ended with {status}: {body[:200]!r}")

    def push(self, repository, tag, parts):
        """Pushes an image; answers its digest as the registry names it."""
        manifest, config, layer = parts
        for blob in (config, layer):
            self.push_blob(repository, blob)
        status, headers, body = self.ask(
            "PUT", f"/v2/{repository}/manifests/{tag}", manifest, content_type=MANIFEST
        )
        expect(status == 201, f"the manifest was answered with {status}: {body[:200]!r}")
        return headers["docker-content-digest"]


def write_layout(folder, parts, tag):
    """Writes an image as an OCI layout, for skopeo."""
    shutil.rmtree(folder, ignore_errors=True)
    blobs = os.path.join(folder, "blobs", "sha256")
    os.makedirs(blobs)
    for content in parts:
        with open(os.path.join(blobs, hashlib.sha256(content).hexdigest()), "wb") as blob:
            blob.write(content)
    manifest = parts[0]
    entry = {
        "mediaType": MANIFEST,
        "digest": digest(manifest),
        "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }
    with open(os.path.join(folder, "index.json"), "w", encoding="utf-8") as index:
        json.dump({"schemaVersion": 2, "manifests": [entry]}, index)
    with open(os.path.join(folder, "oci-layout"), "w", encoding="utf-8") as layout:
        json.dump({"imageLayoutVersion": "1.0.0"}, layout)


def layout_digest(folder):
    """The digest of the one image in an OCI layout."""
    with open(os.path.join(folder, "index.json"), encoding="utf-8") as index:
        (entry,) = json.load(index)["manifests"]
    return entry["digest"]
