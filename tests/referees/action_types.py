"""cfn-lint and botocore on what `slipway action-type print` writes and on the samples for workers: AWS's own shapes, and not
slipway's idea of them."""

import json
import os
import subprocess
import sys

import botocore.session
from botocore.exceptions import ParamValidationError
from botocore.validate import validate_parameters
from sandbox import Failed

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "worker")
# Samples that are the input of an operation.
SAMPLES = {
    "task-definition.json": ("ecs", "RegisterTaskDefinition"),
    "task-definition-builds.json": ("ecs", "RegisterTaskDefinition"),
    "pipeline.json": ("codepipeline", "CreatePipeline"),
}
REGIONS = ["eu-west-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1"]


def printed(slipway, *flags):
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        [slipway, "action-type", "print", *flags], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode != 0:
        raise Failed(done.stderr.strip()[-300:])
    return done.stdout


def objects(text):
    """The JSON objects of a text, one behind the other."""
    decoder = json.JSONDecoder()
    found = []
    while text := text.lstrip():
        found_one, end = decoder.raw_decode(text)
        found.append(found_one)
        text = text[end:]
    return found


def lint(path):
    program = os.path.join(os.path.dirname(sys.executable), "cfn-lint")
    return subprocess.run([program, "--regions", "eu-west-1", "--", path], capture_output=True, text=True, check=False)


def accepted(document, folder):
    """Whether cfn-lint has nothing to say of a template, and what it says."""
    path = os.path.join(folder, "template.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)
    done = lint(path)
    return done.returncode == 0, (done.stdout + done.stderr).strip()


def run(checks, slipway, folder):
    """Every check."""
    shape = botocore.session.get_session().get_service_model("codepipeline").operation_model(
        "CreateCustomActionType"
    ).input_shape
    for region in REGIONS:
        with checks.check(f"action types: botocore takes the requests for {region}"):
            requests = objects(printed(slipway, "--region", region))
            if [request["category"] for request in requests] != ["Build", "Deploy"]:
                raise Failed("not the two types")
            for request in requests:
                validate_parameters(request, shape)
    with checks.check("action types: botocore refuses what is none"):
        for break_it in (lambda it: it.pop("provider"), lambda it: it.update(color="red")):
            request = objects(printed(slipway, "--region", "eu-west-1"))[0]
            break_it(request)
            try:
                validate_parameters(request, shape)
            except ParamValidationError:
                continue
            raise Failed("it takes anything")
    for flags in ([], ["--region", "eu-west-1"], ["--category", "build", "--log-url", "https://x/{ExternalExecutionId}"]):
        with checks.check(f"action types: cfn-lint takes the template of {' '.join(flags) or 'no flags'}"):
            [template] = objects(printed(slipway, "--format", "cloudformation", *flags))
            good, said = accepted(template, folder)
            if not good:
                raise Failed(said[-600:])
    for name, (service, operation) in SAMPLES.items():
        with checks.check(f"action types: botocore takes {name}"):
            model = botocore.session.get_session().get_service_model(service).operation_model(operation)
            with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
                validate_parameters(json.load(file), model.input_shape)
    with checks.check("action types: cfn-lint takes the stack of the wake-up queue"):
        with open(os.path.join(EXAMPLES, "wake-queue.json"), encoding="utf-8") as file:
            good, said = accepted(json.load(file), folder)
        if not good:
            raise Failed(said[-600:])
    with checks.check("action types: cfn-lint refuses what is none"):
        for name, wrong in (("Provider", None), ("Category", "Cook"), ("Version", "1234567890")):
            [template] = objects(printed(slipway, "--format", "cloudformation"))
            properties = template["Resources"]["SlipwayBuild"]["Properties"]
            if wrong is None:
                del properties[name]
            else:
                properties[name] = wrong
            if accepted(template, folder)[0]:
                raise Failed(f"it takes a template with {name} {wrong}")
