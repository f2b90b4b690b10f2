# SPDX-License-Identifier: Apache-2.0
"""A name goes when its last user goes, and not before."""
import ctypes
import json
import os
import re
import resource
import signal
import subprocess

import pytest
from conftest import LIMIT, encoded, identity, until


def kill(*processes):
    for process in processes:
        process.kill()
    for process in processes:
        process.wait(LIMIT)


def test_killed(world):
    """The program goes on, the name does not; and it is said who made it."""
    name = world.shm()
    process = world.process("/bin/cat", "-")
    world.start()
    world.json("REGISTER", name, **identity(process.pid))
    world.heard()
    assert world.exists(name)
    kill(process)
    world.until_gone(name)
    errors = world.end(1)
    assert re.search(f"'{name}' was made by process {process.pid} \\(/bin/cat -\\) at "
                     r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\n", errors)


def test_command_that_it_said(world):
    """It may be dead before anybody can look."""
    name = world.shm()
    process = world.process()
    who = identity(process.pid)
    kill(process)
    world.start()
    lines = [{"cmd": "PROBE", "base64_command": encoded("python3 job.py"), **who},
             {"cmd": "REGISTER", "rtype": "shared_memory", "base64_name": encoded(name), **who}]
    world.write("".join(json.dumps(line) + "\n" for line in lines))
    world.until_gone(name)
    assert f"process {process.pid} (python3 job.py) at" in world.end(1)


def test_zombie(world):
    """Dead is dead, though its parent has not asked."""
    name = world.shm()
    process = world.process()
    world.start()
    world.json("REGISTER", name, **identity(process.pid))
    process.kill()
    world.until_gone(name)
    world.end(1)


def test_last_one(world):
    name = world.shm()
    processes = [world.process() for _ in range(3)]
    world.start()
    for process in processes:
        world.json("REGISTER", name, **identity(process.pid))
    for process in processes:
        world.heard()
        assert world.exists(name)
        kill(process)
    world.until_gone(name)
    world.end(1)


def test_registered_by_one_that_does_not_say_who_it_is(world):
    """It may live as long as the program."""
    name = world.shm()
    process = world.process()
    world.start()
    world.plain("REGISTER", name)
    world.json("REGISTER", name, **identity(process.pid))
    kill(process)
    world.heard()
    assert world.exists(name)
    world.end(1)
    assert not world.exists(name)


def test_again_and_again(world):
    """What it registered twice it has once less when it says so once."""
    name = world.shm()
    process = world.process()
    world.start()
    for command in ("REGISTER", "REGISTER", "UNREGISTER"):
        world.json(command, name, **identity(process.pid))
    world.heard()
    kill(process)
    world.until_gone(name)
    world.end(1)


def test_unregistered(world):
    name = world.shm()
    process = world.process()
    world.start()
    world.json("REGISTER", name, **identity(process.pid))
    world.json("UNREGISTER", name, **identity(process.pid))
    kill(process)
    world.heard()
    assert world.exists(name)
    errors = world.end(1)
    assert name not in errors


def test_last_words(world):
    """What a process said before it was killed is heard before its death."""
    world.start()
    for _ in range(60):
        name = world.shm()
        process = world.process()
        who = identity(process.pid)
        world.json("REGISTER", name, **who)
        world.write(b"PROBE:0:noop\n" * 500)
        world.json("UNREGISTER", name, **who)
        kill(process)
        assert world.exists(name)
    world.heard()
    errors = world.end(1)
    assert errors.count("leaked") == 1, "the one of heard()"


def test_child_unregisters_what_its_parent_made(world):
    name = world.shm()
    parent, child = world.process(), world.process()
    world.start()
    world.json("REGISTER", name, **identity(parent.pid))
    os.unlink("/dev/shm" + name)
    world.json("UNREGISTER", name, **identity(child.pid))
    world.heard()
    kill(parent, child)
    world.heard()
    assert name not in world.end(1)


def test_one_removes_what_others_have(world):
    """Their registrations went with it; they may still take them back, once."""
    name = world.shm()
    maker, user = world.process(), world.process()
    world.start()
    world.json("REGISTER", name, **identity(maker.pid))
    world.json("REGISTER", name, **identity(user.pid))
    os.unlink("/dev/shm" + name)
    world.json("UNREGISTER", name, **identity(maker.pid))
    world.heard()
    world.json("UNREGISTER", name, **identity(user.pid))
    world.heard()
    assert name not in world.end(1)


def test_removed_and_made_again(world):
    """The old users' end is not the new one's."""
    name = world.shm()
    old, new = world.process(), world.process()
    world.start()
    world.json("REGISTER", name, **identity(old.pid))
    os.unlink("/dev/shm" + name)
    world.json("UNREGISTER", name, **identity(old.pid))
    with open("/dev/shm" + name, "xb") as file:
        file.write(b"new")
    world.json("REGISTER", name, **identity(new.pid))
    kill(old)
    world.heard()
    assert world.exists(name)
    kill(new)
    world.until_gone(name)
    world.end(1)


def test_pid_of_another(world):
    """Who registered it had that PID, and is dead."""
    name = world.shm()
    process = world.process()
    who = identity(process.pid)
    world.start()
    world.json("REGISTER", name, **{**who, "start": who["start"] - 1})
    world.until_gone(name)
    assert process.poll() is None
    world.end(1)


def test_pid_of_another_namespace(world):
    """It means nothing here: as one that does not say who it is."""
    name = world.shm()
    world.start()
    world.json("REGISTER", name, pid=os.getpid(), start=1, ns=4)
    world.heard()
    assert world.exists(name)
    assert f"'{name}' was made by process {os.getpid()} (" in world.end(1)
    assert not world.exists(name)


def test_left_in_order(world):
    """What a process had alone when it ended in order is there for others to come."""
    name, shared = world.shm(), world.shm()
    process, other = world.process(), world.process()
    world.start()
    world.json("REGISTER", name, **identity(process.pid))
    world.json("REGISTER", shared, **identity(process.pid))
    world.json("REGISTER", shared, **identity(other.pid))
    world.json("LEAVE", **identity(process.pid))
    kill(process)
    world.heard()
    assert world.exists(name) and world.exists(shared)
    kill(other)
    world.until_gone(shared)
    assert world.exists(name)
    world.end(1)
    assert not world.exists(name)


def test_left_in_order_after_a_death(world):
    """The other one who had it is dead, though nobody has noticed: it was the last."""
    world.start()
    for _ in range(20):
        name = world.shm()
        process, other = world.process(), world.process()
        world.json("REGISTER", name, **identity(process.pid))
        world.json("REGISTER", name, **identity(other.pid))
        world.heard()
        world.tracker.send_signal(signal.SIGSTOP)
        world.json("LEAVE", **identity(process.pid))
        kill(other)
        world.tracker.send_signal(signal.SIGCONT)
        world.heard()
        kill(process)
        world.heard()
        assert world.exists(name)
    world.end(1)


def test_many_at_once(world):
    processes = [world.process() for _ in range(150)]
    names = [world.shm() for _ in processes]
    shared = world.shm()
    world.start()
    for name, process in zip(names, processes):
        world.json("REGISTER", name, **identity(process.pid))
        world.json("REGISTER", shared, **identity(process.pid))
    world.heard()
    kill(*processes)
    for name in [*names, shared]:
        world.until_gone(name)
    world.end(1)


def test_without_descriptors_for_processes(world):
    """Then /proc is asked."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))

    processes = [world.process() for _ in range(12)]
    names = [world.shm() for _ in processes]
    world.start(preexec_fn=few)
    for name, process in zip(names, processes):
        world.json("REGISTER", name, **identity(process.pid))
    world.heard()
    assert len(os.listdir(f"/proc/{world.tracker.pid}/fd")) < 12
    kill(*processes[:6])
    for name in names[:6]:
        world.until_gone(name)
    assert all(map(world.exists, names[6:]))
    kill(*processes[6:])
    for name in names[6:]:
        world.until_gone(name)
    world.end(1)


# ---- in use by those who did not register it

def test_mapped_by_another(world):
    """It counts as a user from the moment on at which it is the last."""
    name = world.shm()
    maker, user = world.process(), world.mapper(name)
    world.start()
    world.json("REGISTER", name, **identity(maker.pid))
    world.heard()
    kill(maker)
    world.heard()
    assert world.exists(name)
    kill(user)
    world.until_gone(name)
    assert f"made by process {maker.pid}" in world.end(1)


def test_in_use_at_the_end(world):
    """A program that only attached to it ends; who made it goes on (cpython#82300)."""
    name = world.shm()
    user = world.mapper(name)
    tracker = world.start()
    world.plain("REGISTER", name)
    os.close(world.writer)
    world.writer = None
    errors = tracker.stderr.read().decode()
    assert errors == "semundo-tracker: some names are still in use; they go when that ends\n"
    assert world.exists(name) and tracker.poll() is None
    kill(user)
    world.until_gone(name)
    assert tracker.wait(LIMIT) == 1
    assert world.journals() == []


def test_attached_to_what_others_made(world):
    """cpython#82300: made before this program began, and in use outside of it."""
    name = world.shm()
    user = world.mapper(name)
    process = world.process()
    tracker = world.start()
    world.json("REGISTER", name, **identity(process.pid))
    world.heard()
    kill(process)
    os.close(world.writer)
    world.writer = None
    assert b"still in use" in tracker.stderr.read()
    assert world.exists(name)
    kill(user)
    assert tracker.wait(LIMIT) == 1
    assert not world.exists(name)


def test_made_by_the_program(world):
    """It ends with the program: another that has it mapped goes on without the name."""
    process = world.process()
    tracker = world.start()
    name = world.shm()
    user = world.mapper(name)
    world.json("REGISTER", name, **identity(process.pid))
    world.json("LEAVE", **identity(process.pid))
    kill(process)
    world.heard()
    assert world.exists(name)
    assert "1 leaked shared_memory objects to clean up at shutdown" in world.end(1, tracker)
    assert not world.exists(name) and user.poll() is None


def test_end_comes_before_the_last_death(world):
    """Whatever was in the pipe when both came."""
    process = world.process()
    name = world.shm()
    tracker = world.start()
    tracker.send_signal(signal.SIGSTOP)
    world.json("REGISTER", name, **identity(process.pid))
    kill(process)
    os.close(world.writer)
    world.writer = None
    tracker.send_signal(signal.SIGCONT)
    errors = tracker.communicate(timeout=LIMIT)[1].decode()
    assert "clean up at shutdown" in errors and tracker.returncode == 1


def test_removed_by_its_user_after_the_end(world):
    name = world.shm()
    user = world.mapper(name)
    tracker = world.start()
    world.plain("REGISTER", name)
    world.plain("REGISTER", name)
    world.plain("UNREGISTER", name)
    os.close(world.writer)
    world.writer = None
    assert b"still in use" in tracker.stderr.read()
    os.unlink("/dev/shm" + name)
    kill(user)
    assert tracker.wait(LIMIT) == 0


@pytest.mark.parametrize("name", ["native:tracked", "sysv:tracked"])
def test_semaphore_of_an_engine(world, name):
    """The last of those who registered it, or have the native one mapped."""
    def semundo(*words):
        return subprocess.run([os.environ["SEMUNDO"], *words], env=world.env, timeout=LIMIT,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False).returncode

    assert semundo("create", name) == 0
    maker = world.process()
    user = world.process(os.environ["SEMUNDO"], "run", "-o", name, "--", "sh", "-c", "echo; read x")
    assert user.stdout.readline() == b"\n"
    world.start()
    world.json("REGISTER", name, "semaphore", **identity(maker.pid))
    kill(maker)
    world.heard()
    if name.startswith("native:"):
        assert semundo("show", name) == 0
    user.stdin.close()
    assert user.wait(LIMIT) == 1, "read had no line"
    until(lambda: semundo("show", name) == 66, f"{name} is removed")
    world.end(1)


def test_stopped_is_alive(world):
    name = world.shm()
    process = world.process()
    world.start()
    world.json("REGISTER", name, **identity(process.pid))
    process.send_signal(signal.SIGSTOP)
    world.heard()
    assert world.exists(name)
    kill(process)
    world.until_gone(name)
    world.end(1)


def test_without_journal(world):
    """Deaths are seen while nobody writes, too."""
    world.env["SEMUNDO_DIR"] = world.directory + "/none"
    name = world.shm()
    process = world.process()
    world.start()
    world.json("REGISTER", name, **identity(process.pid))
    world.heard()
    kill(process)
    world.until_gone(name)
    world.env["SEMUNDO_DIR"] = world.directory
    world.end(1)


SEM_UNDO, GETVAL, IPC_RMID = 0x1000, 12, 0


class Operation(ctypes.Structure):
    _fields_ = [("number", ctypes.c_ushort), ("change", ctypes.c_short), ("flags", ctypes.c_short)]


def test_what_it_inherits_of_system_v_semaphores(world):
    """exec keeps what is to be undone. The tracker would count as a user as long as it runs."""
    libc = ctypes.CDLL(None, use_errno=True)
    semid = libc.semget(0, 1, 0o600)
    assert semid >= 0, os.strerror(ctypes.get_errno())
    taken = Operation(0, 1, SEM_UNDO)
    try:
        world.start(preexec_fn=lambda: libc.semop(semid, ctypes.byref(taken), 1))
        assert libc.semctl(semid, 0, GETVAL, 0) == 0
        world.end(0)
    finally:
        libc.semctl(semid, 0, IPC_RMID, 0)
