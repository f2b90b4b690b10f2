# SPDX-License-Identifier: Apache-2.0
"""The tracker is killed: what it knew is in its journal, what it had not read in the pipe."""
import os
import random
import resource
import signal
import stat
import subprocess

import pytest
from conftest import LIMIT, TRACKER, TRACKER_TEST, identity, until


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(LIMIT)


def restart(world, **options):
    kill(world.tracker)
    return world.start(**options)


def test_nothing_is_forgotten(world):
    """What was registered before, and while there was none."""
    before, meanwhile, back = world.shm(), world.shm(), world.shm()
    process = world.process()
    world.start()
    world.plain("REGISTER", before)
    world.json("REGISTER", back, **identity(process.pid))
    world.heard()
    kill(world.tracker)
    world.json("REGISTER", meanwhile, **identity(process.pid))
    world.json("UNREGISTER", back, **identity(process.pid))
    world.start()
    process.kill()
    world.until_gone(meanwhile)
    assert world.exists(before) and world.exists(back)
    errors = world.end(1)
    assert not world.exists(before) and world.exists(back)
    assert f"'{before}' was made at" in errors
    assert world.journals() == []


def test_died_meanwhile(world):
    name, other = world.shm(), world.shm()
    process = world.process("/bin/cat", "-")
    world.start()
    world.json("REGISTER", name, **identity(process.pid))
    world.json("REGISTER", other, **identity(process.pid))
    world.heard()
    kill(world.tracker)
    kill(process)
    world.start()
    world.until_gone(name)
    world.until_gone(other)
    world.end(1)


def test_half_a_line(world):
    name = world.shm()
    world.start()
    before = os.path.getsize(journal(world))
    world.write("REGIS")
    until(lambda: os.path.getsize(journal(world)) > before, "it is read")
    restart(world)
    world.write(f"TER:{name}:shared_memory\n")
    world.end(1)
    assert not world.exists(name)


def journal(world):
    return os.path.join(world.directory, world.journals()[0])


def test_status_is_remembered(world):
    world.start()
    world.write("nonsense\n")
    world.heard()
    restart(world)
    assert "ignored" not in world.end(1), "it was told of once"


def test_protocol_error_is_remembered(world):
    world.start()
    before = os.path.getsize(journal(world))
    world.write("nonsense\n")
    until(lambda: os.path.getsize(journal(world)) > before, "it is read")
    restart(world)
    world.end(3)


def test_one_of_many_wins(world):
    """Several find it dead at once, and each starts one."""
    name = world.shm()
    world.start()
    world.plain("REGISTER", name)
    kill(world.tracker)
    started = [world.start(wait=False) for _ in range(6)]
    running = until(lambda: len([p for p in started if p.poll() is None]) == 1 and
                    [p for p in started if p.poll() is None], "one is left")
    for process in started:
        if process is not running[0]:
            assert (process.wait(LIMIT), process.stderr.read()) == (0, b"")
    world.tracker = running[0]
    world.heard()
    world.end(1)
    assert not world.exists(name)


def test_killed_at_random(world):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    process = world.process()
    kept, left = set(), set()
    world.start()
    for _ in range(150):
        name = world.shm()
        world.json("REGISTER", name, **(identity(process.pid) if rng.random() < 0.5 else {}))
        left.add(name)
        if rng.random() < 0.4:
            back = rng.choice(sorted(left))
            left.discard(back)
            kept.add(back)
            world.json("UNREGISTER", back, **identity(process.pid))
        if rng.random() < 0.3:
            restart(world, wait=rng.random() < 0.5)
    world.heard()
    kill(process)
    world.end(1)
    assert not any(map(world.exists, left))
    assert all(map(world.exists, kept))


# ---- at each point

def workload(world, program, env):
    """All that writes the journal: lines, deaths, names that are gone, users that are found,
    and the journal anew. Starts another tracker when one has died."""
    tracker = world.start(program, env=env, wait=False)

    def told():
        """Until what was written is done."""
        sign, dying = world.shm(), world.process()
        world.json("REGISTER", sign, **identity(dying.pid))
        kill(dying)

        until_so(lambda: not world.exists(sign), "it is done")

    def until_so(condition, what):
        def is_so():
            nonlocal tracker
            if tracker.poll() is not None:
                tracker = world.start(program, env=env, wait=False)
            return condition()

        until(is_so, what)

    def expect(*there):
        """In one go names go in any order: what goes last may do so a moment later."""
        until_so(lambda: [world.exists(name) for name in (dies, shared, mapped, back, last)] ==
                 list(there), f"{there}")

    dies, shared, mapped, back, last = (world.shm() for _ in range(5))
    one, two, user = world.process(), world.process(), world.mapper(mapped)
    world.json("REGISTER", dies, **identity(one.pid))
    world.json("REGISTER", mapped, **identity(one.pid))
    world.json("REGISTER", shared, **identity(one.pid))
    world.json("REGISTER", shared, **identity(two.pid))
    world.json("REGISTER", back, **identity(two.pid))
    world.json("UNREGISTER", back, **identity(two.pid))
    world.plain("REGISTER", last)
    told()
    kill(one)
    told()
    expect(False, True, True, True, True)
    gone = world.shm()
    for process in (two, user):
        world.json("REGISTER", gone, **identity(process.pid))
    os.unlink("/dev/shm" + gone)
    world.json("UNREGISTER", gone, **identity(two.pid))
    world.json("LEAVE", **identity(two.pid))
    told()
    kill(user)
    told()
    expect(False, True, False, True, True)
    world.tracker = tracker


def end_of_workload(world):
    """Killed while it ends it leaves its journal; the next program's ends its work."""
    for name in ("writer", "reader"):
        os.close(getattr(world, name))
        setattr(world, name, None)
    world.tracker.wait(LIMIT)
    if world.tracker.returncode == -signal.SIGKILL:
        world.reader, world.writer = os.pipe()
        world.start()
        world.heard()
        world.end(1)
    else:
        assert world.tracker.returncode == 1, world.tracker.stderr.read()
    kept = [path for path in world.paths if os.path.exists(path)]
    assert len(kept) == 1, kept
    assert world.journals() == []


def test_killed_at_each_point(world, tmp_path):
    points = tmp_path / "points"
    points.write_bytes(b"")
    workload(world, TRACKER_TEST, {"TRACKER_POINTS": str(points)})
    end_of_workload(world)
    count = points.stat().st_size
    assert count > 25
    for number in range(1, count + 1):
        token = tmp_path / f"kill-{number}"
        token.touch()
        world.finish_paths()
        world.reader, world.writer = os.pipe()
        workload(world, TRACKER_TEST, {"TRACKER_CRASH": f"{number} {token}"})
        end_of_workload(world)


# ---- the journal

def test_mode(world):
    world.start()
    world.heard()
    assert stat.S_IMODE(os.stat(journal(world)).st_mode) == 0o600
    world.end(1)


def refused(world, why):
    """It goes on without, and says what that means."""
    name = world.shm()
    world.start()
    world.plain("REGISTER", name)
    errors = world.end(1)
    assert f"({why}): should this process be killed, all that is registered is forgotten" in errors
    assert not world.exists(name)


def path_of(world):
    return os.path.join(world.directory,
                        f"semundo-tracker.{os.geteuid()}.{os.fstat(world.reader).st_ino}")


def test_link_in_its_place(world, tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    os.symlink(target, path_of(world))
    refused(world, "Too many levels of symbolic links")
    assert target.read_bytes() == b"precious"


def test_other_kinds_of_file_in_its_place(world):
    os.mkfifo(path_of(world), 0o600)
    refused(world, "it is no regular file")


def test_file_that_others_may_write(world):
    with open(path_of(world), "wb"):
        os.chmod(path_of(world), 0o602)
    refused(world, "others may read or write it")


def test_file_with_two_names(world):
    with open(path_of(world), "wb"):
        os.chmod(path_of(world), 0o600)
    os.link(path_of(world), os.path.join(world.directory, "other"))
    refused(world, "it has another name too")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_file_of_another_user(world):
    with open(path_of(world), "wb"):
        os.chmod(path_of(world), 0o600)
    os.chown(path_of(world), 12345, 12345)
    refused(world, "it is another user's")


def test_no_directory(world):
    world.env["SEMUNDO_DIR"] = world.directory + "/none"
    refused(world, "No such file or directory")


@pytest.mark.parametrize("damage", [b"x" * 100, b"\1\2NO\xff\xff\xff\x7f" + b"\0" * 100,
                                    b"\1RAW\xff\xff\xff\x7f" + b"\0" * 100, b"\1RAW",
                                    b"\0" * 200000], ids=lambda d: str(len(d)))
def test_damaged(world, damage):
    """It is told of where it is not what a kill leaves, and does no more harm."""
    name = world.shm()
    with open(path_of(world), "wb") as file:
        os.chmod(path_of(world), 0o600)
        file.write(damage)
    world.start()
    world.plain("REGISTER", name)
    world.heard()
    restart(world)
    world.end(1)
    assert not world.exists(name)


@pytest.mark.parametrize("program", [TRACKER, TRACKER_TEST])
def test_does_not_grow(world, program):
    """It is written anew where most of it is past."""
    most = 0
    name = world.shm()
    world.start(program)
    world.plain("REGISTER", name)
    for _ in range(400):
        world.write(f"REGISTER:{name}:shared_memory\nUNREGISTER:{name}:shared_memory\n" * 40)
        most = max(most, os.path.getsize(journal(world)))
    world.heard()
    assert os.path.getsize(journal(world)) <= most < 600000
    restart(world, program=program)
    world.end(1)
    assert not world.exists(name)


def test_no_room(world):
    """What it says, and goes on without."""
    name = world.shm()

    def little():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    kept = [world.shm() for _ in range(100)]
    world.start(preexec_fn=little)
    for one in kept:
        world.plain("REGISTER", one)
    world.plain("REGISTER", name)
    world.heard()
    assert os.path.getsize(journal(world)) == 0
    errors = world.end(1)
    assert "should this process be killed, all that is registered is forgotten" in errors
    assert not any(map(world.exists, [name, *kept]))


# ---- orphans

def orphan(world, name):
    """A tracker that was killed, and whose program ended."""
    world.start()
    world.plain("REGISTER", name)
    until(lambda: os.path.getsize(journal(world)) > 50, "it is read")
    kill(world.tracker)
    old = world.reader, world.writer
    world.reader, world.writer = os.pipe()
    return old


def test_next_one_ends_the_work(world):
    name = world.shm()
    for fd in orphan(world, name):
        os.close(fd)
    world.start()
    world.until_gone(name)
    assert f"'{name}' was made at" in world.end(0)
    assert world.journals() == []


def test_work_that_is_not_ended(world):
    """The program lives and has its pipe; it will start another itself."""
    name = world.shm()
    reader, writer = orphan(world, name)
    os.close(reader)
    world.start()
    world.heard()
    assert world.exists(name)
    assert len(world.journals()) == 2
    world.end(1)
    world.reader = os.open(f"/proc/self/fd/{writer}", os.O_RDONLY)
    world.writer = writer
    world.start()
    world.end(1)
    assert not world.exists(name)


def test_use_after_the_end(world):
    name = world.shm()
    user = world.mapper(name)
    for fd in orphan(world, name):
        os.close(fd)
    world.start()
    world.heard()
    assert world.exists(name) and len(world.journals()) == 2
    world.end(1)
    kill(user)
    world.reader, world.writer = os.pipe()
    world.start()
    world.until_gone(name)
    world.end(0)
    assert world.journals() == []


def test_status_of_usage_is_not_lost():
    """A tracker that cannot start says so to who starts it."""
    done = subprocess.run([TRACKER, "--ready", "77", "0"], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=LIMIT, check=False)
    assert done.returncode == 64
