"""Artifacts in and out beside the AWS CLI with `unzip` and `zip`: time and memory of each, against the sandbox's S3.

In: an object becomes a folder of files. Out: a folder of files becomes an object. Both sides do the same work in turn, on
the same disk, over loopback.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "referees"))

import sections  # noqa: E402
from sandbox import Sandbox, expect  # noqa: E402

BUCKET, INPUT, OUTPUT = "artifacts", "pipe/Source/x1", "pipe/Build/x2"
MIB = 1024 * 1024
# Of a checkout with what was built: most bytes cannot be compressed, most files can.
NOISE_FILES, TEXT_FILES = 400, 2000
TEXT_SHARE = 0.16
# How long S3's answer is waited for, in seconds: joining parts may take minutes, and slipway waits as long.
PATIENCE = 600
PARTS_OF_DISK = 4.3  # times the artifact: object, zip, tree, and parts while they are joined


@dataclasses.dataclass(frozen=True)
class Measure:
    tool: str
    way: str
    seconds: float
    # The most memory of any of its processes, in MiB.
    peak: float


def make_tree(folder, total):
    """Files of `total` bytes, the same ones each time."""
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(2, 11))) for _ in range(4000)]
    text = " ".join(rng.choices(words, k=1_000_000)).encode()
    left = int(total * TEXT_SHARE)
    for number in range(TEXT_FILES):
        size = left // TEXT_FILES
        path = os.path.join(folder, f"src/{number % 40:02}/{number:04}.txt")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        at = rng.randrange(len(text))
        with open(path, "wb") as file:
            file.write((text[at:] + text * (size // len(text) + 1))[:size])
    left = total - left
    for number in range(NOISE_FILES):
        path = os.path.join(folder, f"lib/{number % 20:02}/{number:03}.bin")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        size = left // NOISE_FILES
        with open(path, "wb") as file:
            while size:
                piece = min(size, 4 * MIB)
                file.write(rng.randbytes(piece))
                size -= piece
    os.chmod(os.path.join(folder, "lib/00/000.bin"), 0o755)


def size_of(folder):
    found = [os.path.join(here, name) for here, _, names in os.walk(folder) for name in names]
    return len(found), sum(os.lstat(path).st_size for path in found)


def run(command, **options):
    """Runs it; gives its seconds, the most memory it had, in MiB, and what it said."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    expect(process.returncode == 0, f"{command[0]}: {said.decode(errors='replace')[-500:]}")
    return time.monotonic() - began, usage.ru_maxrss / 1024, said


@contextlib.contextmanager
def room(folder, name):
    path = os.path.join(folder, name)
    os.makedirs(path)
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Bench:
    def __init__(self, arguments, sandbox, folder):
        self.tool, self.sandbox, self.folder = arguments.tool, sandbox, folder
        self.aws = shutil.which("aws")
        self.tree = os.path.join(folder, "tree")

    def s3(self, *arguments, **options):
        options_of_aws = ["--cli-read-timeout", str(PATIENCE)]
        if arguments[0] == "cp":
            options_of_aws.append("--only-show-errors")
        return run([self.aws, "s3", *arguments, *options_of_aws], env=self.sandbox.environment, **options)

    def ours(self, way, *arguments):
        os.sync()
        seconds, peak, said = run([self.tool, *arguments])
        # What the system says of children holds what this process had when it forked, so the tool says it better.
        own = json.loads(said.splitlines()[-1])["peak-kib"]
        return Measure("slipway", way, seconds, own / 1024 if own else peak)

    def theirs(self, way, steps):
        os.sync()
        done = [step() for step in steps]
        return Measure("aws s3 cp, " + ("unzip" if way == "in" else "zip"), way, sum(step[0] for step in done), max(step[1] for step in done))

    def one_in(self, wanted):
        with room(self.folder, "ours") as into:
            yield self.ours("in", "fetch", self.sandbox.endpoint, BUCKET, INPUT, into)
            expect(size_of(into) == wanted, f"slipway unpacked {size_of(into)} of {wanted}")
        with room(self.folder, "theirs") as into:
            spool = os.path.join(into, "artifact.zip")
            files = os.path.join(into, "files")
            yield self.theirs(
                "in",
                [
                    lambda: self.s3("cp", f"s3://{BUCKET}/{INPUT}", spool),
                    lambda: run(["unzip", "-q", spool, "-d", files]),
                ],
            )
            expect(size_of(files) == wanted, f"unzip unpacked {size_of(files)} of {wanted}")

    def one_out(self):
        place = f"s3://{BUCKET}/{OUTPUT}"
        yield self.ours("out", "store", self.sandbox.endpoint, BUCKET, OUTPUT, self.tree)
        self.s3("rm", place)
        with room(self.folder, "theirs") as into:
            spool = os.path.join(into, "artifact.zip")
            yield self.theirs(
                "out",
                [
                    lambda: run(["zip", "-q", "-r", spool, "."], cwd=self.tree),
                    lambda: self.s3("cp", "--sse", "aws:kms", spool, place),
                ],
            )
        self.s3("rm", place)

    def prepare(self, total):
        os.makedirs(self.tree)
        make_tree(self.tree, total)
        self.s3("mb", f"s3://{BUCKET}")
        with room(self.folder, "source") as source:
            spool = os.path.join(source, "artifact.zip")
            # Fast: how it was packed is the same for both.
            run(["zip", "-1", "-q", "-r", spool, "."], cwd=self.tree)
            length = os.path.getsize(spool)
            self.s3("cp", spool, f"s3://{BUCKET}/{INPUT}")
        return length


def spread(values, digits):
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def section(arguments, measures, length, tree):
    aws = subprocess.run(["aws", "--version"], capture_output=True, text=True).stdout.split()[0]
    once = arguments.repeats == 1
    repeats = "one run of each" if once else f"{arguments.repeats} runs of each in turn, median (least to most)"
    lines = [
        "## Artifacts",
        "",
        f"An artifact of {length / 1e9:.1f} GB in and out against the sandbox's S3 over loopback, beside `aws s3 cp` with `unzip` or",
        f"`zip`, in one run of `scripts/bench-artifacts`: {tree[0]} files of {tree[1] / 1e9:.1f} GB, {TEXT_SHARE:.0%} of them text and the rest not to be",
        f"compressed; {repeats}; {aws}; {os.cpu_count()} cores, which the sandbox shares; {platform.system()}.",
        "Memory is the most that a process ever had.",
        "",
        "| way | tool | seconds | MB/s of the artifact | memory in MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for way in ("in", "out"):
        for tool in sorted({one.tool for one in measures if one.way == way}, reverse=True):
            mine = [one for one in measures if one.way == way and one.tool == tool]
            rates = [length / 1e6 / one.seconds for one in mine]
            lines.append(
                f"| {way} | {tool} | {spread([one.seconds for one in mine], 1)} | {spread(rates, 0)} | "
                f"{spread([one.peak for one in mine], 0)} |"
            )
    lines.append("")
    for way in ("in", "out"):
        ours = [one.seconds for one in measures if one.way == way and one.tool == "slipway"]
        others = [one.seconds for one in measures if one.way == way and one.tool != "slipway"]
        ratios = [theirs / mine for mine, theirs in zip(ours, others)]
        lines.append(f"Throughput {way}, as a multiple of theirs run by run: {spread(ratios, 2)}.")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slipway", required=True, help="the program that serves the sandbox")
    parser.add_argument("--tool", required=True, help="the built tests/bench/artifacts.rs")
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", help="where there is disk space; the system's temporary folder if left out")
    parser.add_argument("--page", help="the page that gets the section; stdout if left out")
    arguments = parser.parse_args()
    total = int(arguments.gigabytes * 1e9 / (1 - TEXT_SHARE * 0.6))
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", dir=arguments.folder) as folder:
        free = shutil.disk_usage(folder).free
        expect(free > total * PARTS_OF_DISK, f"{free / 1e9:.0f} GB of disk are free, {total * PARTS_OF_DISK / 1e9:.0f} are needed")
        os.environ["TMPDIR"] = folder
        tempfile.tempdir = folder
        with Sandbox(arguments.slipway, folder, "--simulated") as sandbox:
            bench = Bench(arguments, sandbox, folder)
            length = bench.prepare(total)
            tree = size_of(bench.tree)
            measures = []
            for _ in range(arguments.repeats):
                for measure in itertools.chain(bench.one_in(tree), bench.one_out()):
                    print(measure, file=sys.stderr, flush=True)
                    measures.append(measure)
    text = section(arguments, measures, length, tree)
    if arguments.page:
        sections.write(arguments.page, {"Artifacts": text})
    else:
        print(text)
    worst = max(one.peak for one in measures if one.tool == "slipway") * MIB / 1e6
    expect(worst < 64, f"slipway had {worst:.0f} MB of memory, less than 64 are allowed")


if __name__ == "__main__":
    main()
