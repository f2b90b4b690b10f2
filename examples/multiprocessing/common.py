# SPDX-License-Identifier: Apache-2.0
"""What the stories share."""
import multiprocessing
import os
import signal
import sys

LIMIT = 60  # seconds, for what has to happen


def begin(method="fork"):
    """The context that the command line asks for, and how long to wait before it counts as for
    ever: short where multiprocessing is known to hang."""
    words = sys.argv[1:]
    if words == ["multiprocessing"]:
        return multiprocessing.get_context(method), 0.5
    if words == ["semundo"]:
        from semundo.multiprocessing import get_context
        return get_context(method), LIMIT
    sys.exit(f"usage: {os.path.basename(sys.argv[0])} multiprocessing|semundo")


def say(*words):
    print(*words, flush=True)


def start(ctx, target, *args):
    process = ctx.Process(target=target, args=args)
    process.start()
    return process


def ends(process, seconds):
    """True if it ends by itself; else it is ended."""
    process.join(seconds)
    if process.exitcode is not None:
        return True
    process.kill()
    process.join()
    return False


def killed(process):
    """Waits until it was killed, by itself or by the kernel."""
    process.join(LIMIT)
    if process.exitcode != -signal.SIGKILL:
        sys.exit(f"{process} was to be killed")


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def dead(lock):
    """Those who died holding a lock of semundo; a lock of multiprocessing cannot say."""
    return getattr(lock, "recovered", ())
