# SPDX-License-Identifier: Apache-2.0
"""usage: upstream.py RESULTS SECONDS MODULE [TEST...]

Runs tests that come with this interpreter and appends what became of each to a
file, one a line, as JSON: [test, outcome, reason of a skip], and "running" as
the outcome when it begins. Those that are in the file already are left out.
MODULE is fork, spawn or forkserver, for multiprocessing's tests with that start
method, or a module. TEST is a part of the names of those to run. A test that
takes longer than that many seconds ends the run.
"""
import faulthandler
import importlib
import json
import os
import signal
import sys
import unittest

METHODS = "fork", "spawn", "forkserver"
# In a file of its own for each method, since children load it by its name.
GENERATED = """import test._test_multiprocessing
test._test_multiprocessing.install_tests_in_module_dict(globals(), {method!r})
"""


class Result(unittest.TextTestResult):
    file = seconds = None  # set by main()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.outcomes = {}

    def write(self, test, outcome, reason=""):
        self.file.write(json.dumps([test, outcome, reason]) + "\n")
        self.file.flush()

    def startTest(self, test):
        super().startTest(test)
        self.write(test.id(), "running")
        faulthandler.dump_traceback_later(self.seconds, exit=True)

    def stopTest(self, test):
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()
        self.write(test.id(), *self.outcomes.get(test.id(), ("none",)))

    def note(self, test, outcome, reason=""):
        """The worst of it, if a test has parts."""
        before = self.outcomes.get(test.id(), ("",))[0]
        if before not in ("failure", "error"):
            self.outcomes[test.id()] = (outcome, reason)

    def addSuccess(self, test):
        super().addSuccess(test)
        if test.id() not in self.outcomes:
            self.note(test, "success")

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "error")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "failure")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.note(test, "failure")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skip", reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note(test, "expected failure")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "unexpected success")


def module_of(name):
    if name not in METHODS:
        return importlib.import_module(name)
    generated = f"upstream_{name}"
    path = os.path.join(os.getcwd(), generated + ".py")
    with open(path, "w", encoding="ascii") as file:
        file.write(GENERATED.format(method=name))
    sys.path.insert(0, os.getcwd())
    return importlib.import_module(generated)


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def load(module, words, known):
    tests = unittest.defaultTestLoader.loadTestsFromModule(module)
    return unittest.TestSuite(
        test for test in flatten(tests) if test.id() not in known
        and (not words or any(word in test.id() for word in words)))


def main(results, seconds, name, *words):
    # However this is started: a shell lets what is in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from test import support
    support.use_resources = []
    with open(results, "a+", encoding="utf-8") as file:
        file.seek(0)
        known = {json.loads(line)[0] for line in file}
        Result.file, Result.seconds = file, float(seconds)
        runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
        result = runner.run(load(module_of(name), words, known))
        for test, outcome in sorted(result.outcomes.items()):
            result.write(test, *outcome)  # also of classes that were skipped


if __name__ == "__main__":
    main(*sys.argv[1:])
