# SPDX-License-Identifier: Apache-2.0
"""usage: run.py DIRECTORY [-v] [module, class or test...]: runs the tests in it.

The package is the one on PYTHONPATH. The report goes to the standard output,
where scripts/summarize counts it.
"""
import faulthandler
import os
import sys
import unittest


def main(directory, *words):
    directory = os.path.abspath(directory)
    sys.path.insert(0, directory)
    loader = unittest.defaultTestLoader
    names = [word for word in words if word != "-v"]
    suite = loader.loadTestsFromNames(names) if names else loader.discover(directory)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2 if "-v" in words else 1)
    result = runner.run(suite)
    for test, reason in result.skipped:
        print(f"skipped: {test.id()}: {reason}")
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    faulthandler.enable()
    sys.exit(main(*sys.argv[1:]))
