# SPDX-License-Identifier: Apache-2.0
"""multiprocessing, with locks that survive the death of a process that holds them.

    from semundo.multiprocessing import get_context

    ctx = get_context("spawn")
    lock = ctx.Lock()
"""
from ._context import get_context

__all__ = ["get_context"]
