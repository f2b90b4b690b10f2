# SPDX-License-Identifier: Apache-2.0
"""The package as a whole."""
import unittest

import semundo


class Package(unittest.TestCase):
    def test_version(self):
        self.assertRegex(semundo.__version__, r"^\d+\.\d+\.\d+$")
