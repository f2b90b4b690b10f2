# SPDX-License-Identifier: Apache-2.0
"""Semaphores and locks between processes that survive the death of a holder."""
from ._ext import library_version as __version__

__all__ = ["__version__"]
