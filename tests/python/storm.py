# SPDX-License-Identifier: Apache-2.0
"""Signals for a test, all the time."""
import contextlib
import signal
import threading


@contextlib.contextmanager
def storm(case, handler=lambda *_: None):
    """SIGUSR1 for the main thread again and again. What the handler raises, it raises once:
    the test's own code, which comes next, is not interrupted."""
    raised = False
    begin, over = threading.Event(), threading.Event()

    def once(*args):
        nonlocal raised
        if raised:
            return
        try:
            handler(*args)
        except BaseException:
            raised = True
            raise

    def run():
        begin.wait()
        while not over.wait(0.002):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, once)
    thread = case.thread(run)
    try:
        begin.set()  # from here on the handler may raise
        yield
    finally:
        raised = True
        over.set()
        case.join(thread)
        signal.signal(signal.SIGUSR1, before)


def fail(*_):
    """A handler."""
    raise KeyError("handler")
