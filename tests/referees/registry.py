"""skopeo and Debian's docker-registry against the sandbox's registry: the same image must have the same digest everywhere."""

import contextlib
import json
import os
import socket
import subprocess
import time

from sandbox import Failed, Registry, Sandbox, digest, expect, image, layout_digest, run as command, write_layout

REPOSITORY = "team/tools/web"


def run(checks, slipway, folder, engine):
    """Every check; answers the journal that the sandbox kept."""
    parts = image(b"registry")
    layout = os.path.join(folder, "layout")
    write_layout(layout, parts, "one")
    # skopeo remembers blobs that it saw; a fresh home makes it ask.
    os.environ["HOME"] = folder
    sandbox = Sandbox(slipway, folder, "--simulated")
    try:
        sandbox.client("ecr").create_repository(repositoryName=REPOSITORY)
        copies(checks, sandbox, folder, layout, parts)
        with checks.check("registry: docker-registry gives the same image the same digest"):
            with docker_registry(folder) as port:
                skopeo("copy", "--dest-tls-verify=false", f"oci:{layout}:one", f"docker://127.0.0.1:{port}/{REPOSITORY}:1")
                told = skopeo("inspect", "--tls-verify=false", f"docker://127.0.0.1:{port}/{REPOSITORY}:1")
                expect(json.loads(told)["Digest"] == digest(parts[0]), json.loads(told)["Digest"])
        if engine:
            built(checks, sandbox, slipway, folder)
        else:
            print("--    registry: what `slipway build` pushes is not checked: no Engine was asked for", flush=True)
    finally:
        with checks.check("registry: the sandbox ends on SIGTERM"):
            sandbox.stop()
    return sandbox.journal


def skopeo(*arguments):
    return command(["skopeo", "--insecure-policy", *arguments], 120)


def copies(checks, sandbox, folder, layout, parts):
    """There and back, and refusals on the way."""
    place = f"docker://127.0.0.1:{sandbox.port}/{REPOSITORY}"
    login = f"AWS:{sandbox.password()}"
    with checks.check("registry: skopeo pushes an OCI image to a repository three names deep"):
        skopeo("copy", "--dest-tls-verify=false", "--dest-creds", login, f"oci:{layout}:one", f"{place}:1")
        told = json.loads(skopeo("inspect", "--tls-verify=false", "--creds", login, f"{place}:1"))
        expect(told["Digest"] == digest(parts[0]), f"the digest is {told['Digest']}, not {digest(parts[0])}")
    with checks.check("registry: skopeo pulls it back by digest, byte for byte"):
        back = os.path.join(folder, "back")
        source = f"{place}@{digest(parts[0])}"
        skopeo("copy", "--src-tls-verify=false", "--src-creds", login, source, f"oci:{back}:one")
        expect(layout_digest(back) == digest(parts[0]), f"the digest is {layout_digest(back)}")
    with checks.check("registry: without credentials skopeo is refused"):
        try:
            skopeo("inspect", "--tls-verify=false", "--no-creds", f"{place}:1")
        except Failed:
            pass
        else:
            raise Failed("it was let in")
    with checks.check("registry: ECR creates no repository on a push"):
        try:
            target = f"docker://127.0.0.1:{sandbox.port}/nobody/made/this:1"
            skopeo("copy", "--dest-tls-verify=false", "--dest-creds", login, f"oci:{layout}:one", target)
        except Failed:
            pass
        else:
            raise Failed("the push was accepted")
    with checks.check("registry: a blob whose digest is wrong is refused"):
        client = Registry(sandbox.port, sandbox.password())
        status, headers, _ = client.ask("POST", f"/v2/{REPOSITORY}/blobs/uploads/", b"")
        expect(status == 202, f"the upload began with {status}")
        join = "&" if "?" in headers["location"] else "?"
        path = headers["location"].replace(sandbox.endpoint, "") + f"{join}digest={digest(b'other')}"
        status, _, body = client.ask("PUT", path, b"content")
        expect(status == 400 and b"DIGEST_INVALID" in body, f"it was answered with {status}: {body[:200]!r}")


@contextlib.contextmanager
def docker_registry(folder):
    """Debian's docker-registry on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = os.path.join(folder, "docker-registry.yml")
    with open(config, "w", encoding="utf-8") as file:
        storage = os.path.join(folder, "docker-registry")
        file.write(
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {storage}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n"
        )
    with open(os.path.join(folder, "docker-registry.log"), "wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                if Registry(port).ask("GET", "/v2/")[0] == 200:
                    break
            expect(process.poll() is None and time.monotonic() < end, "docker-registry does not start")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)


def built(checks, sandbox, slipway, folder):
    """What `slipway build` pushed through the Engine is what others pull."""
    context = os.path.join(folder, "context")
    os.makedirs(context)
    files = {
        "Dockerfile": "FROM scratch\nCOPY marker /marker\n",
        "marker": "built by the Engine\n",
        "slipway.toml": f'[image.web]\nrepository = "{REPOSITORY}"\ntags = ["built"]\n',
    }
    for name, content in files.items():
        with open(os.path.join(context, name), "w", encoding="utf-8") as file:
            file.write(content)
    with checks.check("registry: skopeo pulls what slipway build pushed, by the digest that it wrote"):
        sandbox.slipway(slipway, "build", context)
        with open(os.path.join(context, "imagedefinitions.json"), encoding="utf-8") as file:
            (entry,) = json.load(file)
        expect(entry["name"] == "web", f"the container is {entry['name']}")
        repository, _, wanted = entry["imageUri"].partition("@")
        expect(repository == f"127.0.0.1:{sandbox.port}/{REPOSITORY}", f"the repository is {repository}")
        login = f"AWS:{sandbox.password()}"
        raw = skopeo("inspect", "--raw", "--tls-verify=false", "--creds", login, f"docker://{entry['imageUri']}")
        expect(digest(raw.encode()) == wanted, f"the manifest has {digest(raw.encode())}, written was {wanted}")
        pulled = os.path.join(folder, "pulled")
        source = f"docker://{entry['imageUri']}"
        skopeo("copy", "--src-tls-verify=false", "--src-creds", login, source, f"dir:{pulled}")
        expect(os.path.exists(os.path.join(pulled, "manifest.json")), "nothing was pulled")
        (detail,) = sandbox.client("ecr").describe_images(
            repositoryName=REPOSITORY, imageIds=[{"imageTag": "built"}]
        )["imageDetails"]
        expect(detail["imageDigest"] == wanted, f"the tag has {detail['imageDigest']}, written was {wanted}")
    with checks.check("registry: what slipway build wrote is valid by its schema"):
        from documents import accepts

        accepts(os.path.join(context, "imagedefinitions.json"))
    # The Engine keeps what it built.
    command(["docker", "rmi", f"127.0.0.1:{sandbox.port}/{REPOSITORY}:built"], 60)
