# SPDX-License-Identifier: Apache-2.0
"""Runs pytest on a directory; SEMUNDO_JUNIT, if set, is where its report goes."""
import os
import sys

import pytest

arguments = ["-q", "--tb=short", "-p", "no:cacheprovider", "--rootdir", sys.argv[1]]
if os.environ.get("SEMUNDO_JUNIT"):
    arguments.append("--junitxml=" + os.environ["SEMUNDO_JUNIT"])
sys.exit(pytest.main([*arguments, sys.argv[1]]))
