# SPDX-License-Identifier: Apache-2.0
"""The processes of a Pool, and the two threads that keep them at work.

One thread goes through what is to be done and packs each task. The other waits: for results, for
deaths. Each process has pipes of its own and one task at a time, so it is known what is lost when
it dies. Neither thread knows the Pool, which may be dropped.
"""
from __future__ import annotations

import collections
import queue
import selectors
import threading
import time
import traceback
from typing import Any, Callable, Deque, Dict, List, Optional, Union

from .._broken import WorkerDied
from ._messages import Bytes, pipe
from ._worker import Outcome, Plan, Task, Worker, packed, unpacked

RUN, CLOSE, TERMINATE = "RUN", "CLOSE", "TERMINATE"

_LOOK = 1.0         # seconds; deaths ring a bell on most systems
_LOOK_AGAIN = 0.02  # the bell rang, but its status is not there
_HOPELESS = 16      # so many ended one after the other before they could begin


class Cache(Dict[int, Any]):
    """The results that are to come, by job."""

    def __init__(self, empty: Callable[[], None]) -> None:
        super().__init__()
        self._empty = empty

    def __delitem__(self, job: int) -> None:
        super().__delitem__(job)
        if not self:
            self._empty()


class Crew:
    def __init__(self, plan: Plan, size: int) -> None:
        self._plan = plan
        self._size = size
        self._vacant = list(range(size))[::-1]
        self.state = RUN
        self.processes: List[Any] = []
        self.sequences: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.cache = Cache(self._cache_is_empty)
        self._changed = threading.Condition(threading.Lock())  # for what follows
        self._pending: Deque[Task] = collections.deque()
        self._idle: List[Worker] = []
        self._making = threading.Lock()
        self._setting = threading.RLock()
        self._workers: List[Worker] = []
        self._alarm = True  # somebody may have died
        self._failed = 0    # processes that did not begin, since one did
        self._why: Exception = RuntimeError("no process")
        self._not_before = 0.0
        self._selector = selectors.DefaultSelector()
        self._bell, self._ring = pipe()
        self._selector.register(self._bell.fileno(), selectors.EVENT_READ, self._quieten)
        self._keeper = threading.Thread(target=self._keep, name="PoolKeeper", daemon=True)
        self._feeder = threading.Thread(target=self._feed, name="PoolFeeder", daemon=True)

    def start(self) -> None:
        try:
            self.populate()
        except BaseException:
            self._end_processes()
            raise
        self._keeper.start()
        self._feeder.start()

    # ---- from outside

    def close(self) -> None:
        if self.state == RUN:
            self.state = CLOSE
            self._wake()

    def terminate(self) -> None:
        self.state = TERMINATE
        self._wake()
        self.sequences.put(None)
        with self._changed:
            self._changed.notify_all()
        if threading.current_thread() is not self._keeper:
            self._keeper.join()  # from here on nothing is started
        self._end_processes()
        if threading.current_thread() is not self._feeder:
            self._feeder.join()

    def _end_processes(self) -> None:
        for process in list(self.processes):
            if process.exitcode is None:
                process.terminate()
        for process in list(self.processes):
            process.join()

    def join(self) -> None:
        self._keeper.join()
        self._feeder.join()
        for process in self.processes:
            process.join()

    def _wake(self) -> None:
        try:
            self._ring.try_post(self._ring.pack(b""))
        except OSError:
            pass  # nobody is there to be woken

    def _cache_is_empty(self) -> None:
        if self.state != RUN:
            self._wake()

    def _quieten(self) -> None:
        while self._bell.try_take() is not None:
            pass

    # ---- the thread that goes through the tasks

    def _feed(self) -> None:
        while True:
            sequence = self.sequences.get()
            if sequence is None or not self._go_through(*sequence):
                return
            sequence = None

    def _go_through(self, tasks: Any, set_length: Optional[Callable[[int], object]]) -> bool:
        """False if the pool was terminated."""
        index = -1
        for job, index, func, args, kwds in tasks:
            try:
                task = Task(job, index, packed(func, args, kwds))
            except Exception as error:
                self._set(job, index, (False, error))
                continue
            if not self._add(task):
                return False
            task = func = args = kwds = None  # type: ignore[assignment]
        if set_length is not None:
            set_length(index + 1)
        return True

    def _add(self, task: Task) -> bool:
        with self._changed:
            while len(self._pending) >= self._size and self.state != TERMINATE:
                self._changed.wait()
            if self.state == TERMINATE:
                return False
            self._pending.append(task)
        self._hand_out()
        return True

    def _hand_out(self) -> None:
        """Tasks to those who have none."""
        refused = {}
        with self._changed:
            while self._pending and self._idle:
                worker, task = self._idle.pop(), self._pending.popleft()
                try:
                    worker.give(task)
                except Exception as error:
                    worker.task = None
                    self._idle.append(worker)
                    refused[task] = error
            self._changed.notify_all()
        self._refuse(refused)

    def _refuse(self, refused: Dict[Task, Exception]) -> None:
        for task, error in refused.items():
            self._set(task.job, task.number, (False, error))

    def _set(self, job: int, index: int, outcome: Outcome) -> None:
        with self._setting:
            result = self.cache.get(job)
            if result is None:
                return
            try:
                result._set(index, outcome)
            except Exception:  # of a callback
                traceback.print_exc()
                if self.cache.get(job) is result:
                    del self.cache[job]
                if hasattr(result, "_event"):
                    result._event.set()

    # ---- the thread that waits

    def _keep(self) -> None:
        while True:
            self._look_for_deaths()
            if self.state == TERMINATE or (self.state == CLOSE and not self.cache):
                break
            self._replace()
            self._give_up()
            self._listen()
        self.sequences.put(None)
        self._selector.close()
        for worker in list(self._workers):
            worker.end()

    def _listen(self) -> None:
        events = self._selector.select(self._pause())
        if not events:
            self._alarm = True
        for key, _ in events:
            key.data()

    def _pause(self) -> float:
        if any(not worker.watched for worker in self._workers):
            return _LOOK_AGAIN
        return min(_LOOK, max(0.0, self._not_before - time.monotonic())) or _LOOK

    def _look_for_deaths(self) -> None:
        if not self._alarm:
            return
        self._alarm = False
        for worker in list(self._workers):
            if worker.process.exitcode is not None:
                self._bury(worker)

    def _replace(self) -> None:
        if time.monotonic() >= self._not_before:
            self._not_before = 0.0
            try:
                self.populate()
            except Exception as error:  # the system has no more processes, or the like
                self._did_not_begin(error)

    def populate(self) -> None:
        """As many processes as there should be."""
        with self._making:
            while self._vacant:
                worker = Worker(self._plan, self._vacant[-1])
                self._watch(worker)
                self._enlist(worker)
                self._vacant.pop()

    def _enlist(self, worker: Worker) -> None:
        """In the place of a dead one: the Pool divides by the number of its processes."""
        if worker.place < len(self.processes):
            self.processes[worker.place] = worker.process
        else:
            self.processes.append(worker.process)
        self._workers.append(worker)

    def _watch(self, worker: Worker) -> None:
        def heard() -> None:
            self._hear(worker)

        def ended() -> None:
            self._alarm = True
            self._unwatch(worker)  # its status may come later

        sentinel = getattr(worker.process, "sentinel", None)
        for what, call in ((worker.results.fileno(), heard), (sentinel, ended),
                           (worker.pidfd, ended)):
            if what is not None:
                self._selector.register(what, selectors.EVENT_READ, call)
                worker.watched.append(what)

    def _unwatch(self, worker: Worker) -> None:
        for what in worker.watched:
            self._selector.unregister(what)
        worker.watched = []

    def _hear(self, worker: Worker) -> bool:
        """Takes one word of it. False if there is none."""
        try:
            word = worker.outcome()
        except EOFError:
            self._unwatch(worker)
            return False
        except Exception as error:
            self._has_done(worker, error)
            return True
        if word is None:
            return False
        if word:
            self._has_done(worker, word)
        else:
            self._is_ready(worker)
        return True

    def _is_ready(self, worker: Worker) -> None:
        worker.ready = True
        self._failed = 0
        self._is_idle(worker)

    def _is_idle(self, worker: Worker) -> None:
        with self._changed:
            if worker.dead:
                return
            self._idle.append(worker)
        self._hand_out()

    def _has_done(self, worker: Worker, what: Union[Bytes, Exception]) -> None:
        task = worker.task
        worker.task = None
        if worker.left is not None:
            worker.left -= 1
        if worker.left != 0:
            self._is_idle(worker)  # it goes on while its result is looked at
        if task is not None:
            outcome = (False, what) if isinstance(what, Exception) else unpacked(what)
            self._set(*task, outcome)

    # ---- deaths

    def _bury(self, worker: Worker) -> None:
        with self._changed:
            worker.dead = True
            if worker in self._idle:
                self._idle.remove(worker)
        while self._hear(worker):  # what it said before
            pass
        self._unwatch(worker)
        self._after_death(worker)
        worker.process.join()
        self._workers.remove(worker)
        self._vacant.append(worker.place)
        worker.close()

    def _after_death(self, worker: Worker) -> None:
        pid, status = worker.process.pid, worker.process.exitcode
        if not worker.ready:
            self._did_not_begin(WorkerDied(pid, status, "as the others of this pool before it, it "
                                           "ended before it could begin with a task"))
        with self._changed:
            unbegun = worker.took_back()
            if unbegun is not None:
                self._pending.appendleft(unbegun)
        if unbegun is not None:
            self._hand_out()
        elif worker.task is not None:
            self._set(*worker.task, (False, WorkerDied(
                pid, status, "it had this task in hand")))

    def _did_not_begin(self, why: Exception) -> None:
        self._failed += 1
        self._why = why
        longest = 0.1 if self._failed < _HOPELESS else 1.0
        self._not_before = time.monotonic() + min(longest, 0.001 * 2 ** min(self._failed, 10))

    def _give_up(self) -> None:
        """No process lives long enough: what is to be done will not be done."""
        if self._failed < _HOPELESS:
            return
        with self._changed:
            tasks = list(self._pending)
            self._pending.clear()
            self._changed.notify_all()
        self._refuse({task: self._why for task in tasks})
