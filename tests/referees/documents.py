"""check-jsonschema, a validator of its own, on imagedefinitions.json: what slipway writes passes, what it rejects does not."""

import json
import os
import subprocess
import sys

from sandbox import Failed

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "imagedefinitions.schema.json")
DIGEST = "sha256:" + "0" * 64
GOOD = {
    "one image by digest": [{"name": "web", "imageUri": f"000000000000.dkr.ecr.eu-west-1.amazonaws.com/shop/web@{DIGEST}"}],
    "a registry with a port": [{"name": "web", "imageUri": f"127.0.0.1:4566/shop/web@{DIGEST}"}],
    "a tag": [{"name": "web", "imageUri": "shop/web:1.2"}],
    "two containers": [{"name": "web", "imageUri": "a/b"}, {"name": "log_router", "imageUri": "a/c"}],
}
BAD = {
    "the blue/green shape": {"ImageURI": f"shop/web@{DIGEST}"},
    "no entry": [],
    "no name": [{"imageUri": "shop/web"}],
    "no image": [{"name": "web"}],
    "an empty name": [{"name": "", "imageUri": "shop/web"}],
    "a name with a space": [{"name": "my web", "imageUri": "shop/web"}],
    "an image in capitals": [{"name": "web", "imageUri": "Shop/Web"}],
    "an image that is no text": [{"name": "web", "imageUri": 1}],
    "a short digest": [{"name": "web", "imageUri": "shop/web@sha256:00"}],
    "an unknown key": [{"name": "web", "imageUri": "shop/web", "tag": "1"}],
    "a text": "web=shop/web",
}


def validate(path):
    program = os.path.join(os.path.dirname(sys.executable), "check-jsonschema")
    return subprocess.run([program, "--schemafile", SCHEMA, path], capture_output=True, text=True, check=False)


def accepts(path):
    done = validate(path)
    if done.returncode != 0:
        raise Failed(f"refused: {done.stdout.strip()[-300:]}")


def run(checks, folder):
    """Every check."""
    for verdict, table in (("accepted", GOOD), ("refused", BAD)):
        for what, document in table.items():
            with checks.check(f"documents: {what} is {verdict}"):
                path = os.path.join(folder, "imagedefinitions.json")
                with open(path, "w", encoding="utf-8") as file:
                    json.dump(document, file)
                done = validate(path)
                if (done.returncode == 0) != (verdict == "accepted") or done.returncode not in (0, 1):
                    raise Failed((done.stdout + done.stderr).strip()[-300:] or "it was not")
