# SPDX-License-Identifier: Apache-2.0
"""The jobs: real files, compressed through a program that limits how many run."""
import ctypes
import os
import select
import signal
import stat
import subprocess
import threading
import time

import sampler

COMPRESSORS = (["xz", "-3"], ["gzip", "-9"])
PLACES = ("/usr/lib", "/usr/share")
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Commands whose parent was killed become children of this process, so
    their numbers stay theirs until they are waited for."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def regular_files(place):
    for directory, _, names in os.walk(place):
        for name in names:
            path = os.path.join(directory, name)
            try:
                facts = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(facts.st_mode) and os.access(path, os.R_OK):
                yield facts.st_size, path


def largest_files(count, limit, places):
    """The largest readable files of at most limit bytes, no two of one name."""
    found = {}
    for place in places:
        for size, path in regular_files(place):
            name = os.path.basename(path)
            if size <= limit:
                found[name] = max(found.get(name, (0, "")), (size, path))
    return sorted(found.values(), reverse=True)[:count]


class Attempt:
    """One run of a job: the limiting program, and the compressor under it."""

    def __init__(self, job, limiter, directory):
        self.job = job
        self.output = os.path.join(directory, f"{job.number}.{job.attempts}")
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen(limiter.command(job.command), cwd=directory,
                                            stdin=subprocess.DEVNULL, stdout=out)
        self.pid = self.process.pid
        self.pidfd = os.pidfd_open(self.pid)

    def close(self):
        os.close(self.pidfd)


class Orphan:
    """A compressor that goes on though the program above it was killed."""

    def __init__(self, attempt, pid, pidfd):
        self.job, self.output, self.runner = attempt.job, attempt.output, attempt.pid
        self.pid, self.pidfd = pid, pidfd
        self.ended = None  # by the monotonic clock and by the real one
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()

    def watch(self):
        """Notes when it ends; whoever draws the table would notice later."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.poll()
        self.ended = time.monotonic(), time.time()

    def close(self):
        self.watcher.join()
        os.close(self.pidfd)


class Job:
    def __init__(self, number, size, path):
        self.number, self.size, self.path = number, size, path
        self.name = os.path.basename(path)
        self.compressor = COMPRESSORS[number % len(COMPRESSORS)]
        self.command = [*self.compressor, "-c", "--", path]
        self.attempts = 0
        self.attempt = None
        self.output = None  # of the attempt that finished

    def start(self, limiter, directory):
        self.attempts += 1
        self.attempt = Attempt(self, limiter, directory)

    def decompresses(self, output):
        """Whether the output is the file again, as cmp(1) sees it."""
        tool = self.compressor[0]
        with open(output, "rb") as packed, \
                subprocess.Popen([tool, "-dc"], stdin=packed, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, cwd="/") as unpack:
            same = subprocess.run(["cmp", "-s", "--", "-", self.path], stdin=unpack.stdout,
                                  cwd="/", check=False)
            unpack.stdout.close()
        return same.returncode == 0 and unpack.returncode == 0


class Pool:
    """All jobs of one part of the demo; those that were killed start again."""

    def __init__(self, files, limiter, directory):
        self.limiter, self.directory = limiter, directory
        self.jobs = [Job(number, *file) for number, file in enumerate(files)]
        self.orphans = []
        self.looker = sampler.Looker(directory)
        self.finished_by_orphans = []  # (job, output)

    def start(self):
        for job in self.jobs:
            job.start(self.limiter, self.directory)

    def unfinished(self):
        return [job for job in self.jobs if job.output is None]

    def done(self):
        return not self.unfinished() and not self.orphans

    def attempts(self):
        return {job.attempt.pid: job.attempt for job in self.unfinished()}

    def compressors(self):
        """Runner of each running compressor; of an orphan, this process."""
        found = {pid: sampler.parent(pid) for pid in self.looker.running()}
        return {pid: runner for pid, runner in found.items() if runner is not None}

    def reap(self):
        """Collects what ended; returns the orphans that did."""
        for job in self.unfinished():
            status = job.attempt.process.poll()
            if status is None:
                continue
            job.attempt.close()
            if status == 0:
                job.output = job.attempt.output
            elif job.attempts < 20:
                job.start(self.limiter, self.directory)
            else:
                raise RuntimeError(f"{job.path}: compressing it failed {job.attempts} times, "
                                   f"the last time with status {status}")
        return [orphan for orphan in list(self.orphans) if self.reap_orphan(orphan)]

    def reap_orphan(self, orphan):
        pid, status = os.waitpid(orphan.pid, os.WNOHANG)
        if pid == 0:
            return False
        orphan.close()
        self.orphans.remove(orphan)
        if status == 0:
            self.finished_by_orphans.append((orphan.job, orphan.output))
        return True

    def verify(self):
        """(finished outputs, those that are the original again)"""
        outputs = [(job, job.output) for job in self.jobs if job.output is not None]
        outputs += self.finished_by_orphans
        return len(outputs), sum(job.decompresses(output) for job, output in outputs)

    def stop(self, keep):
        """Ends what is left: the runners first, so that no command begins any
        more, then their commands, which are children of this process now."""
        for job in self.unfinished():
            if job.attempt.process.returncode is None:
                job.attempt.process.kill()
                job.attempt.process.wait()
            job.attempt.close()
        for pid in children() - {keep}:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for orphan in self.orphans:
            orphan.close()
        self.orphans = []


def children():
    """Those of this process that were not waited for yet."""
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return {pid for pid in pids if sampler.parent(pid) == os.getpid()}
