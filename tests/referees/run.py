"""Runs the independent referees: programs that know AWS, registries and schemas, and share nothing with slipway.

    run.py --slipway target/debug/slipway [--artifacts TOOL] [--only KIND]... [--no-engine] [JOURNAL...]

KIND is one of those below; archives need TOOL, the built tests/bench/artifacts.rs. JOURNAL names journals of other runs
to check as well. Ends with status 1 when a check failed.
"""

import argparse
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import action_types
import archives
import clients
import documents
import journal
import pipelines
import registry
import shapes
from sandbox import Checks, Failed

KINDS = ["journal", "clients", "pipelines", "registry", "documents", "archives"]
# So many problems of one journal are printed; one mistake of the sandbox shows in every request.
SHOWN = 25


def check_journal(checks, name, path):
    with checks.check(name):
        count, problems = journal.check_file(path)
        for problem in problems[:SHOWN]:
            print(f"      {problem}", flush=True)
        if problems:
            raise Failed(f"{len(problems)} problems in {count} requests")
        if count == 0:
            raise Failed("the journal is empty")
        print(f"      {count} requests", flush=True)


def check_walker(checks):
    with checks.check("journal: the referee passes good lines and catches bad ones"):
        suite = unittest.defaultTestLoader.loadTestsFromName("test_journal")
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(suite)
        if not result.wasSuccessful() or result.testsRun == 0:
            raise Failed("see above")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slipway", required=True, help="the program to referee")
    parser.add_argument("--only", action="append", choices=KINDS)
    parser.add_argument("--artifacts", metavar="TOOL", help="the built tests/bench/artifacts.rs")
    parser.add_argument("--no-engine", action="store_true", help="leave out what needs a Docker Engine")
    parser.add_argument("journals", nargs="*", help="journals of other runs")
    arguments = parser.parse_args()
    slipway = os.path.abspath(arguments.slipway)
    wanted = arguments.only or KINDS
    if "archives" in wanted and not arguments.artifacts:
        if arguments.only:
            parser.error("archives need --artifacts TOOL")
        wanted = [kind for kind in wanted if kind != "archives"]
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="slipway-referees-") as folder:
        def room(name):
            path = os.path.join(folder, name)
            os.makedirs(path)
            return path

        journals = {path: path for path in arguments.journals}
        if "journal" in wanted:
            check_walker(checks)
        if "documents" in wanted:
            documents.run(checks, room("documents"))
            action_types.run(checks, slipway, room("action-types"))
        if "archives" in wanted:
            with checks.check("archives: all of them ran"):
                archives.run(checks, os.path.abspath(arguments.artifacts), room("archives"))
        if "clients" in wanted:
            with checks.check("clients: all of them ran"):
                journals["what boto3 and the AWS CLI asked"] = clients.run(checks, slipway, room("clients"))
        if "pipelines" in wanted:
            with checks.check("pipelines: all of them ran"):
                for name, path in pipelines.run(checks, slipway, room("pipelines")):
                    journals[f"what boto3 asked of {name}"] = path
        if "registry" in wanted:
            with checks.check("registry: all of it ran"):
                engine = not arguments.no_engine
                journals["what skopeo and slipway asked"] = registry.run(checks, slipway, room("registry"), engine)
        if "journal" in wanted:
            for name, path in journals.items():
                check_journal(checks, f"journal: {name}", path)
    for pattern in sorted(shapes.unread_patterns):
        print(f"--    a pattern of AWS that Python cannot read was not checked: {pattern}", flush=True)
    print(f"referees: {checks.passed} passed, {checks.failed} failed", flush=True)
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
