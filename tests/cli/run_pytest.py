# SPDX-License-Identifier: Apache-2.0
"""Runs pytest on a directory; SEMUNDO_JUNIT, if set, is where its report goes."""
import os
import signal
import sys

import pytest

# A background job of a shell, or one under nohup, ignores these, and so would
# the programs that are tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)

arguments = ["-q", "--tb=short", "-p", "no:cacheprovider", "--rootdir", sys.argv[1]]
if os.environ.get("SEMUNDO_JUNIT"):
    arguments.append("--junitxml=" + os.environ["SEMUNDO_JUNIT"])
sys.exit(pytest.main([*arguments, sys.argv[1]]))
