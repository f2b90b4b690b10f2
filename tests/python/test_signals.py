# SPDX-License-Identifier: Apache-2.0
"""Signals in a wait: as CPython's own primitives treat them."""
import os
import signal
import threading
import time

import semundo
from helpers import Case


class Signals(Case):
    def setUp(self):
        super().setUp()
        self.s = self.open(semundo.Semaphore, "s")
        self.s.acquire()
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))

    def when_waiting(self, action):
        """Another thread does it once this one, the main thread, waits and sleeps."""
        def run():
            self.until_waiting(self.s)
            self.until_asleep(os.getpid())
            action()
        return self.thread(run)

    def kill_main(self):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    def test_exception_of_a_handler(self):
        raised = []

        def handler(*_):
            if not raised:
                raised.append(True)
                raise KeyError("handler")

        def kill_again():
            """One that comes while the library is awake is seen at the next only."""
            self.kill_main()
            while not raised:
                time.sleep(0.05)
                self.kill_main()

        signal.signal(signal.SIGUSR1, handler)
        for wait in (self.s.acquire, self.s.__enter__, self.s.wait_idle,
                     lambda: self.s.acquire(timeout=100)):
            thread = self.when_waiting(kill_again)
            with self.assertRaisesRegex(KeyError, "handler"):
                wait()
            self.join(thread)
            raised.clear()
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
            # One that comes just before the sleep is seen at the next only, as with
            # threading.Lock: hence not before the kernel says that it sleeps.
            self.until_asleep(process.pid)
            process.kill(signal.SIGINT)
            self.assertEqual(process.line(), "interrupted")
        self.assertEqual(process.end()[0], 0)

    def until_asleep(self, pid):
        def asleep():
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                return file.read().rpartition(")")[2].split()[0] == "S"
        from helpers import until
        until(asleep, "it sleeps")

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
        thread = self.when_waiting(lambda: (self.sleeping_main(), self.kill_main()))
        self.assertIs(self.s.acquire(timeout=60), True)
        self.join(thread)

    def sleeping_main(self):
        self.until_asleep(os.getpid())
