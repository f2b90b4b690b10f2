# SPDX-License-Identifier: Apache-2.0
"""How many workers are busy, counted in three ways. BUSY_DIR: a directory for the names.

The master of gunicorn imports this before it starts workers, so all have the same.
"""
import multiprocessing
import os

import semundo
from semundo import sysvipc

directory = os.environ["BUSY_DIR"]
workers = int(os.environ.get("WEB_CONCURRENCY", "4"))

by_multiprocessing = multiprocessing.get_context("fork").Semaphore(0)
by_sysvipc = sysvipc.semget(sysvipc.ftok(directory, 1), 1, sysvipc.IPC_CREAT | 0o600)
by_semundo = semundo.Semaphore("busy", workers, dir=directory)


def begin():
    """A worker starts on a request."""
    by_multiprocessing.release()
    sysvipc.semop(by_sysvipc, [(0, 1, sysvipc.SEM_UNDO)])
    by_semundo.acquire()


def end():
    """It is done with it; one that is killed in between never comes here."""
    by_multiprocessing.acquire()
    sysvipc.semop(by_sysvipc, [(0, -1, sysvipc.SEM_UNDO)])
    by_semundo.release()


def busy():
    by_semundo.recover()  # nobody waits for a unit, so nobody else looks for the dead
    return {
        "multiprocessing": by_multiprocessing.get_value(),
        "sysvipc": sysvipc.semctl(by_sysvipc, 0, sysvipc.GETVAL),
        "semundo": by_semundo.capacity - by_semundo.value,
    }


def remove():
    """For the master. (A function of atexit would run in each worker that ends.)"""
    sysvipc.semctl(by_sysvipc, 0, sysvipc.IPC_RMID)
    by_semundo.unlink()
    by_semundo.close()
