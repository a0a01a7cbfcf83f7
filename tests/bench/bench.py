"""Slipway beside the AWS CLI's waiter and fabfuel's `ecs deploy`: verdict, delay and calls of each, in the same situations.

Each run has a sandbox with simulated tasks of its own, whose clock is the machine's, so that tools that sleep can be
compared. The moments of truth are read from the world afterwards; the calls are counted in its journal.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "referees"))

import sections  # noqa: E402
from sandbox import ACCOUNT, REGION, Sandbox, expect  # noqa: E402

CLUSTER, SERVICE = "prod", "shop"
IMAGE = "registry.example/shop/web@sha256:" + "{}" * 64
STAYS = 40  # seconds that a task without health checks must run: ECS's own rule
CRASH = '[[fate]]\nfamily = "shop"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n'
SUPERSEDED_AFTER = 30  # seconds
TOOLS = ("slipway", "aws ecs wait", "ecs deploy")


@dataclasses.dataclass(frozen=True)
class Situation:
    name: str
    scenario: str
    breaker: bool
    # Exit codes that tell the truth; any but 0 where it is None.
    right: dict
    truth: str


SITUATIONS = (
    Situation("success", "", True, {"slipway": {0}, "others": {0}}, "two tasks have run for 40 s"),
    Situation("breaker rollback", CRASH, True, {"slipway": {14}, "others": None}, "the rollback begins"),
    Situation("crash loop, no breaker", CRASH, False, {"slipway": {13, 14}, "others": None}, "the third task has failed"),
    Situation(
        "superseded",
        f'[[act]]\nservice = "shop"\nafter-seconds = {SUPERSEDED_AFTER}\nact = "update"\ntask-definition = "other:1"\n',
        True,
        {"slipway": {15}, "others": None},
        "another deployment is the primary one",
    ),
)


@dataclasses.dataclass
class Outcome:
    situation: str
    tool: str
    # None for a tool that was still waiting when it was stopped.
    code: int | None
    right: bool
    delay: float
    # All requests of the tool.
    calls: int
    # Those that only read, after the service was updated; and for how long, in seconds.
    reads: int
    watched: float


def definition(family, version):
    return {
        "family": family,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/execution",
        "containerDefinitions": [{"name": "web", "image": IMAGE.format(*[version] * 64), "essential": True}],
    }


def service(name, family, desired, breaker):
    return {
        "cluster": CLUSTER,
        "serviceName": name,
        "taskDefinition": f"{family}:1",
        "desiredCount": desired,
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-00000001"]}},
        "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": breaker, "rollback": breaker}},
    }


def until(limit, holds, pause=0.5):
    """Waits until it holds; the machine's own time, as the peers have it."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(pause)
    raise TimeoutError("the service did not become steady")


def seed(ecs, situation):
    """Version 1, complete and steady."""
    ecs.create_cluster(clusterName=CLUSTER)
    ecs.register_task_definition(**definition("shop", 1))
    ecs.register_task_definition(**definition("other", 9))
    ecs.create_service(**service(SERVICE, "shop", 2, situation.breaker))

    def steady():
        (found,) = ecs.describe_services(cluster=CLUSTER, services=[SERVICE])["services"]
        return [one["rolloutState"] for one in found["deployments"]] == ["COMPLETED"]

    until(300, steady)


def command(tool, slipway, ecs, folder):
    """The tool's command line, after what it needs done before."""
    image = IMAGE.format(*[2] * 64)
    if tool == "slipway":
        definitions = os.path.join(folder, "imagedefinitions.json")
        with open(definitions, "w", encoding="utf-8") as file:
            json.dump([{"name": "web", "imageUri": image}], file)
        return [slipway, "deploy", folder, "--cluster", CLUSTER, "--service", SERVICE, "--imagedefinitions", definitions]
    binaries = os.path.dirname(sys.executable)
    if tool == "ecs deploy":
        return [os.path.join(binaries, "ecs"), "deploy", CLUSTER, SERVICE, "-i", "web", image]
    # The waiter deploys nothing: what a pipeline's script does before it.
    ecs.register_task_definition(**definition("shop", 2))
    ecs.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition="shop:2")
    return [os.path.join(binaries, "aws"), "ecs", "wait", "services-stable", "--cluster", CLUSTER, "--services", SERVICE]


def truth(ecs, situation, ours, speed):
    """When the world came to what the tool has to say, in seconds since the epoch."""

    def tasks():
        arns = []
        for status in ("RUNNING", "STOPPED"):
            arns += ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE, desiredStatus=status)["taskArns"]
        found = ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]
        return [task for task in found if task["taskDefinitionArn"].endswith("/shop:2")]

    if situation.name == "success":
        started = sorted(task["startedAt"].timestamp() for task in tasks() if "startedAt" in task)
        return started[1] + STAYS / speed
    if situation.name == "breaker rollback":
        records = ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE)["serviceDeployments"]
        arns = [record["serviceDeploymentArn"] for record in records]
        records = ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]
        return next(record["rollback"]["startedAt"].timestamp() for record in records if "rollback" in record)
    if situation.name == "superseded":
        return ours + SUPERSEDED_AFTER / speed
    failed = sorted(task["stoppingAt"].timestamp() for task in tasks() if "stoppingAt" in task)
    return failed[2]


def journal(sandbox):
    with open(sandbox.journal, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def run(slipway, situation, tool, speed, patience):
    folder = tempfile.mkdtemp(prefix="bench-")
    try:
        scenario = os.path.join(folder, "scenario.toml")
        with open(scenario, "w", encoding="utf-8") as file:
            file.write(situation.scenario)
        sandbox = Sandbox(slipway, folder, "--simulated", "--speed", str(speed), "--scenario", scenario)
        try:
            ecs = sandbox.client("ecs")
            seed(ecs, situation)
            line = command(tool, slipway, ecs, folder)
            before, began = len(journal(sandbox)), time.time()
            code = None
            with contextlib.suppress(subprocess.TimeoutExpired):
                done = subprocess.run(line, env=sandbox.environment, capture_output=True, timeout=patience)
                code = done.returncode
            ended = time.time()
            entries = journal(sandbox)
            updates = [entry["time"] for entry in entries if entry["operation"] == "UpdateService"]
            own = entries[before:]
            changes = [at for at, entry in enumerate(own) if entry["operation"] in ("UpdateService", "RegisterTaskDefinition")]
            # The waiter watches from its first call on: its service was updated before.
            watch = own[changes[-1] + 1 :] if changes else own
            reads = sum(entry["operation"].startswith(("Describe", "List", "Get", "Filter")) for entry in watch)
            watched = ended - max(began, updates[0])
            known = situation.right["slipway" if tool == "slipway" else "others"]
            right = code is not None and (code in known if known is not None else code != 0)
            moment = truth(ecs, situation, updates[0], speed)
            return Outcome(situation.name, tool, code, right, ended - moment, len(own), reads, watched)
        finally:
            sandbox.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def spread(values, digits=0):
    """Median (least to most)."""
    middle, least, most = statistics.median(values), min(values), max(values)
    shown = [f"{value:.{digits}f}" for value in (middle, least, most)]
    return shown[0] if shown[1] == shown[2] else f"{shown[0]} ({shown[1]} to {shown[2]})"


def compared(outcomes):
    lines = [
        "| situation | tool | exit | verdict | delay in s | read calls of the watch | a minute | other calls |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for situation in SITUATIONS:
        for tool in TOOLS:
            mine = [one for one in outcomes if (one.situation, one.tool) == (situation.name, tool)]
            if not mine:
                continue
            codes = ", ".join(sorted({"none yet" if one.code is None else str(one.code) for one in mine}))
            verdicts = {one.right for one in mine}
            verdict = "right" if verdicts == {True} else "**wrong**" if verdicts == {False} else "**now and then wrong**"
            lines.append(
                f"| {situation.name} | {tool} | {codes} | {verdict} | {spread([one.delay for one in mine], 1)} "
                f"| {spread([one.reads for one in mine])} | {spread([60 * one.reads / one.watched for one in mine], 1)} "
                f"| {spread([one.calls - one.reads for one in mine])} |"
            )
    return lines


def ticks(process):
    """CPU seconds of a process so far, and its largest memory in MiB."""
    with open(f"/proc/{process}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    with open(f"/proc/{process}/status", encoding="utf-8") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), peak / 1024


def cost(slipway, services, tasks, seconds):
    """CPU share and memory of a watch over services whose new tasks never start."""
    folder = tempfile.mkdtemp(prefix="bench-cost-")
    scenario = os.path.join(folder, "scenario.toml")
    with open(scenario, "w", encoding="utf-8") as file:
        file.write('[quotas]\nenforce = false\n[[fate]]\nrevision = 2\nnever-starts = true\n')
    sandbox = Sandbox(slipway, folder, "--simulated", "--scenario", scenario)
    try:
        ecs = sandbox.client("ecs")
        ecs.create_cluster(clusterName=CLUSTER)
        names = [f"shop-{number}" for number in range(services)]
        toml = []
        for name in names:
            ecs.register_task_definition(**definition(name, 1))
            ecs.create_service(**service(name, name, tasks, True))
            toml.append(f"[service.{name}]\n")
        with open(os.path.join(folder, "slipway.toml"), "w", encoding="utf-8") as file:
            file.write(f'[deploy]\ncluster = "{CLUSTER}"\n' + "".join(toml))

        def steady():
            done = 0
            for first in range(0, services, 10):
                found = ecs.describe_services(cluster=CLUSTER, services=names[first : first + 10])["services"]
                done += sum([one["rolloutState"] for one in each["deployments"]] == ["COMPLETED"] for each in found)
            return done == services

        until(600, steady, 5)
        definitions = os.path.join(folder, "imagedefinitions.json")
        with open(definitions, "w", encoding="utf-8") as file:
            json.dump([{"name": "web", "imageUri": IMAGE.format(*[2] * 64)}], file)
        line = [slipway, "deploy", folder, "--imagedefinitions", definitions, "--on-failure", "leave"]
        process = subprocess.Popen(
            [*line, "--timeout", f"{seconds + 120}s"],
            env=sandbox.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:

            def under_way():
                expect(process.poll() is None, "slipway ended before the watch")
                updates = [entry for entry in journal(sandbox) if entry["operation"] == "UpdateService"]
                return len(updates) >= services

            until(300, under_way, 2)
            time.sleep(10)
            (cpu, _), calls, began = ticks(process.pid), len(journal(sandbox)), time.monotonic()
            time.sleep(seconds)
            (after, peak), more, took = ticks(process.pid), len(journal(sandbox)), time.monotonic() - began
        finally:
            process.terminate()
            process.communicate()
        return 100 * (after - cpu) / took, peak, 60 * (more - calls) / took
    finally:
        sandbox.stop()
        shutil.rmtree(folder, ignore_errors=True)


def versions(slipway):
    binaries = os.path.dirname(sys.executable)
    aws = subprocess.run([os.path.join(binaries, "aws"), "--version"], capture_output=True, text=True).stdout.split()[0]
    pip = [sys.executable, "-m", "pip", "show", "ecs-deploy"]
    fabfuel = next(
        line.split()[1]
        for line in subprocess.run(pip, capture_output=True, text=True).stdout.splitlines()
        if line.startswith("Version:")
    )
    own = subprocess.run([slipway, "--version"], capture_output=True, text=True).stdout.strip()
    return own, aws, fabfuel


def page(arguments, outcomes, costs):
    own, aws, fabfuel = versions(arguments.slipway)
    build = "release" if "/release/" in arguments.slipway else "debug"
    truths = "; ".join(f"{situation.name}: {situation.truth}" for situation in SITUATIONS)
    cpu, peak, calls = costs
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Slipway beside `aws ecs wait services-stable` and fabfuel's `ecs deploy`, in one run against `slipway sandbox",
            "--simulated`, whose clock is the machine's: a rollout takes as long as on Fargate. Each run has a sandbox of its",
            "own. What is above \"A worker\" and \"Artifacts\" is written by `scripts/bench`.",
            "",
            "```console",
            f"$ scripts/bench --repeats {arguments.repeats}",
            "```",
            "",
            f"{own} ({build} build), {aws}, ecs-deploy {fabfuel}; {os.cpu_count()} cores, {platform.system()}; "
            f"{arguments.repeats} runs of each, median (least to most). A tool that had said nothing after {arguments.patience} s was",
            "stopped.",
            "",
            *compared(outcomes),
            "",
            f"*Delay* is from the moment of truth to the tool's exit ({truths}). A negative one is too early.",
            "In the crash loop slipway itself brings the old version back, and exits only when that is seen to run: its verdict,",
            "which it tells at once, comes sooner than its exit. *Read calls of the watch* are those that follow the update of the",
            "service, those of a diagnosis included; over a rollout shorter than two and a half minutes more of them fall on a minute. *Other calls* are those before, and those that change",
            "something: the waiter of the AWS CLI deploys nothing itself, so its two are not counted. *Right* means exit code 0 for the success and another one for the rest; of slipway the",
            "documented code of that very situation is asked.",
            "",
            "## Cost",
            "",
            f"Watching {arguments.services} services of {arguments.tasks} tasks each whose new tasks do not start yet: "
            f"{cpu:.2f} % of a core, {peak:.0f} MiB of memory at most, {calls:.0f} calls a minute.",
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slipway", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=36)
    parser.add_argument("--patience", type=int, default=1200, help="seconds after which a tool is stopped")
    parser.add_argument("--services", type=int, default=50)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--smoke", action="store_true", help="one accelerated run of two situations; writes nothing")
    parser.add_argument("--page", help="where the page goes; stdout if left out")
    arguments = parser.parse_args()
    speed = 20 if arguments.smoke else 1
    situations = SITUATIONS[:2] if arguments.smoke else SITUATIONS
    tools = TOOLS[:2] if arguments.smoke else TOOLS
    repeats = 1 if arguments.smoke else arguments.repeats
    wanted = [(situation, tool) for _ in range(repeats) for situation in situations for tool in tools]
    outcomes = []
    # The cost is of CPU time, which does not suffer from what runs beside it.
    with concurrent.futures.ThreadPoolExecutor(arguments.at_once + 1) as pool:
        costs = None if arguments.smoke else pool.submit(cost, arguments.slipway, arguments.services, arguments.tasks, 120)
        futures = [pool.submit(run, arguments.slipway, situation, tool, speed, arguments.patience) for situation, tool in wanted]
        broken = []
        for future in concurrent.futures.as_completed(futures):
            if future.exception() is None:
                outcomes.append(future.result())
                print(future.result(), file=sys.stderr, flush=True)
            else:
                broken.append(future.exception())
                traceback.print_exception(future.exception())
        costs = costs and costs.result()
    expect(not broken, f"{len(broken)} runs could not be measured: {broken}")
    wrong = [one for one in outcomes if one.tool == "slipway" and not one.right]
    expect(not wrong, f"slipway was wrong: {wrong}")
    if arguments.smoke:
        print("\n".join(compared(outcomes)))
        return
    text = page(arguments, outcomes, costs)
    if arguments.page:
        sections.write(arguments.page, sections.of(text))
    else:
        print(text)


if __name__ == "__main__":
    main()
