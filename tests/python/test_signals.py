# SPDX-License-Identifier: Apache-2.0
"""Signals in a wait: as CPython's own primitives treat them."""
import signal
import threading
import time

import semundo
from helpers import Case, until


class Signals(Case):
    def setUp(self):
        super().setUp()
        self.s = self.open(semundo.Semaphore, "s")
        self.s.acquire()
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))

    def when_waiting(self, action):
        """Another thread does it once this one waits."""
        def run():
            self.until_waiting(self.s)
            action()
        return self.thread(run)

    def kill_main(self):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    def test_exception_of_a_handler(self):
        def handler(*_):
            raise KeyError("handler")

        signal.signal(signal.SIGUSR1, handler)
        for wait in (self.s.acquire, self.s.__enter__, self.s.wait_idle,
                     lambda: self.s.acquire(timeout=100)):
            self.when_waiting(self.kill_main)
            with self.assertRaisesRegex(KeyError, "handler"):
                wait()
            self.assertEqual(self.s.waiters(), [])
        self.assertEqual((self.s.value, self.s.held), (0, 1))

    def test_ctrl_c(self):
        process = self.start("""
            s = semundo.Semaphore("s", create=False)
            lock = semundo.RLock("l")
            for wait in s.acquire, s.__enter__, lambda: s.acquire(timeout=100):
                try:
                    print("waits", flush=True)
                    wait()
                except KeyboardInterrupt:
                    print("interrupted", flush=True)
        """)
        for _ in range(3):
            self.assertEqual(process.line(), "waits")
            self.until_waiting(self.s)
            process.kill(signal.SIGINT)
            self.assertEqual(process.line(), "interrupted")
        self.assertEqual(process.end()[0], 0)

    def test_signal_that_ends_no_sleep(self):
        """The system gave it to another thread, or it came between two sleeps. The wait
        goes on as one wait for who looks."""
        order = []
        signal.signal(signal.SIGUSR1, lambda *_: order.append("handler"))

        def act():
            since = self.s.waiters()[0].waiting_since
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            until(lambda: order, "its handler runs")
            until(lambda: self.s.waiters(), "the wait goes on")
            order.append(self.s.waiters()[0].waiting_since - since)
            self.s.release()

        thread = self.when_waiting(act)
        self.assertIs(self.s.acquire(timeout=60), True)
        self.join(thread)
        self.assertEqual(order, ["handler", 0])

    def test_goes_on_after_a_handler(self):
        """The handler runs while it waits; the wait goes on."""
        ran = threading.Event()
        signal.signal(signal.SIGUSR1, lambda *_: ran.set())

        def act():
            deadline = time.monotonic() + 60
            while not ran.is_set() and time.monotonic() < deadline:
                self.kill_main()
                ran.wait(0.01)
            self.s.release()

        self.when_waiting(act)
        self.assertIs(self.s.acquire(timeout=60), True)
        self.assertTrue(ran.is_set())

    def test_deadline_stays(self):
        """A storm of signals makes a timeout neither longer nor shorter."""
        count = 0

        def handler(*_):
            nonlocal count
            count += 1

        signal.signal(signal.SIGUSR1, handler)
        over = threading.Event()

        def storm():
            while not over.wait(0.001):
                self.kill_main()

        self.thread(storm)
        before = time.monotonic()
        got = self.s.acquire(timeout=0.5)
        took = time.monotonic() - before
        over.set()
        self.assertIs(got, False)
        self.assertGreater(count, 20)
        self.assertGreaterEqual(took, 0.5)
        self.assertLess(took, 20)

    def test_handler_that_releases(self):
        """In a handler, in the middle of a wait, it can be released."""
        signal.signal(signal.SIGUSR1, lambda *_: self.s.release())
        thread = self.when_waiting(self.kill_main)
        self.assertIs(self.s.acquire(timeout=60), True)
        self.join(thread)
