# SPDX-License-Identifier: Apache-2.0
"""install() and python -m semundo.multiprocessing: whole programs and their children."""
import os
import subprocess
import sys
import textwrap

from helpers import LIMIT, Case, until

OURS = "semundo.multiprocessing"

# A program that knows nothing of semundo, and hangs without it.
PROGRAM = """
    import multiprocessing, os, signal, sys
    from multiprocessing.sharedctypes import Value

    def modules():
        import _multiprocessing
        return sorted({type(made).__module__ for made in (
            multiprocessing.Lock(), multiprocessing.RLock(), multiprocessing.Semaphore(),
            multiprocessing.BoundedSemaphore(), multiprocessing.Condition(),
            multiprocessing.Event(), multiprocessing.Barrier(2), Value("i", 0).get_lock())
            } | {_multiprocessing.SemLock.__module__})

    def die(lock, pipe):
        pipe.send(modules() + sys.argv[1:])
        lock.acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    def grandchild(lock, pipe):
        child = multiprocessing.Process(target=die, args=(lock, pipe))
        child.start()
        child.join()

    def main():
        for method in sys.argv[1].split(","):
            multiprocessing.set_start_method(method, force=True)
            lock = multiprocessing.Lock()
            ours, theirs = multiprocessing.Pipe()
            child = multiprocessing.Process(target=grandchild, args=(lock, theirs))
            child.start()
            print(method, *ours.recv())
            child.join()
            print(lock.acquire(timeout=60), len(lock.recovered))
        print(*modules())

    if __name__ == "__main__":
        main()
"""
INSTALL = "import semundo.multiprocessing; semundo.multiprocessing.install()\n"
MODULES = ["semundo._ext", OURS + "._barrier", OURS + "._condition", OURS + "._semlock"]
METHODS = "fork,spawn,forkserver"


class Programs(Case):
    def write(self, name, *parts):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(map(textwrap.dedent, parts)))
        return path

    def run_python(self, *words, status=0, **env):
        done = subprocess.run([sys.executable, *words], stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT,
                              universal_newlines=True, env={**os.environ, **env},
                              cwd=self.directory)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def expect(self, *words, **env):
        """PROGRAM's output, for all methods; and it has nothing to complain of."""
        done = self.run_python(*words, METHODS, "x", **env)
        lines = done.stdout.splitlines()
        modules = " ".join(MODULES)
        self.assertEqual(lines, [
            line for method in METHODS.split(",")
            for line in (f"{method} {modules} {METHODS} x", "True 1")] + [modules])
        self.assertEqual(done.stderr, "")

    def test_install(self):
        self.expect(self.write("p.py", INSTALL, INSTALL, PROGRAM))

    def test_without_a_change(self):
        program = self.write("program.py", PROGRAM)
        self.expect("-m", OURS, program)
        self.expect("-m", OURS, "--engine=native", "-m", "program")

    def test_package_that_children_cannot_find(self):
        """They look where it is, before they have a sys.path; -E and -I too."""
        package = os.environ["PYTHONPATH"]
        first = self.write("p.py", f"import sys; sys.path.insert(0, {package!r})\n", INSTALL,
                           PROGRAM)
        for option in ("-E", "-I"):
            self.expect(option, first, PYTHONPATH="/nonexistent")

    def test_code(self):
        done = self.run_python("-m", OURS, "-c", "import sys, multiprocessing as m; "
                               "print(__name__, sys.argv, type(m.Lock()).__module__)", "a", "b")
        self.assertEqual(done.stdout, "__main__ ['-c', 'a', 'b'] semundo.multiprocessing._semlock\n")

    def test_program_is_main(self):
        path = self.write("program.py", """
            import os, sys
            print(__name__, __file__, sys.argv, sys.path[0])
            import __main__
            print(__main__.__dict__ is globals(), [n for n in globals() if n[0] != "_"])
            sys.exit(5)
        """)
        done = self.run_python("-m", OURS, path, "--engine", status=5)
        self.assertEqual(done.stdout, f"__main__ {path} {[path, '--engine']} {self.directory}\n"
                                      "True ['os', 'sys']\n")

    def test_mistakes(self):
        for words in ([], ["--engine"], ["--engine", "auto", "-c", "0"], ["--other", "-c", "0"],
                      ["-m"], ["-c"], ["/nonexistent.py"]):
            done = self.run_python("-m", OURS, *words, status=2)
            self.assertIn("semundo.multiprocessing: ", done.stderr)
            self.assertNotIn("Traceback", done.stderr)
        self.assertIn("usage: ", self.run_python("-m", OURS, "--help").stdout)

    def test_engine_reaches_children(self):
        program = self.write("p.py", """
            import multiprocessing, sys
            import semundo._ext
            from multiprocessing import forkserver

            def child(lock, pipe):
                pipe.send((semundo._ext.semlock_engine(), lock.acquire(False)))
                pipe.recv()

            if __name__ == "__main__":
                for method in sys.argv[1].split(","):
                    multiprocessing.set_start_method(method, force=True)
                    lock = multiprocessing.Lock()
                    ours, theirs = multiprocessing.Pipe()
                    process = multiprocessing.Process(target=child, args=(lock, theirs))
                    process.start()
                    print(*ours.recv(), lock.acquire(False))
                    ours.send("seen")
                    process.join()
                    # Forked and executed, it counts as one who uses a System V semaphore.
                    forkserver._forkserver._stop()
                    del lock, process
        """)
        for engine in ("sysv", "posix"):
            done = self.run_python("-m", OURS, "--engine", engine, program, METHODS)
            self.assertEqual(done.stdout, f"{engine} True False\n" * 3)
            self.assertEqual(done.stderr, "")

    def test_server_installs_before_it_preloads(self):
        """A module that the fork server loads makes locks of this package."""
        self.write("preloaded.py", "import multiprocessing\nlock = multiprocessing.Lock()\n")
        program = self.write("p.py", INSTALL, """
            import multiprocessing

            def child(pipe):
                import preloaded
                pipe.send(type(preloaded.lock).__module__)

            if __name__ == "__main__":
                multiprocessing.set_forkserver_preload(["preloaded"])
                ctx = multiprocessing.get_context("forkserver")
                ours, theirs = ctx.Pipe()
                process = ctx.Process(target=child, args=(theirs,))
                process.start()
                print(ours.recv())
                process.join()
        """)
        path = os.pathsep.join([self.directory, os.environ["PYTHONPATH"]])
        self.assertEqual(self.run_python(program, PYTHONPATH=path).stdout, OURS + "._semlock\n")

    def test_executor_and_pool(self):
        program = self.write("p.py", INSTALL, """
            import concurrent.futures, multiprocessing, os, signal
            from concurrent.futures.process import BrokenProcessPool

            def die(_):
                os.kill(os.getpid(), signal.SIGKILL)

            if __name__ == "__main__":
                for method in "fork", "spawn", "forkserver":
                    ctx = multiprocessing.get_context(method)
                    with ctx.Pool(2) as pool:
                        print(pool.map(abs, [-1, 2, -3]))
                    with concurrent.futures.ProcessPoolExecutor(2, mp_context=ctx) as executor:
                        print(list(executor.map(abs, [-4, 5])))
                        try:
                            executor.submit(die, 0).result(60)
                        except BrokenProcessPool:
                            print("broken")
        """)
        self.assertEqual(self.run_python(program).stdout, "[1, 2, 3]\n[4, 5]\nbroken\n" * 3)

    def test_tracker(self):
        """What a killed process had made is removed while the program goes on, and the leak
        is told with who made it."""
        program = self.write("p.py", INSTALL, """
            import multiprocessing, os, signal, sys, time
            from multiprocessing import resource_tracker, shared_memory

            def trackers(pid):
                # Children of that process.
                with open(f"/proc/{pid}/task/{pid}/children") as file:
                    children = file.read().split()
                return [child for child in children
                        if open(f"/proc/{child}/comm").read() == "semundo-tracker\\n"]

            def die(pipe):
                memory = shared_memory.SharedMemory(create=True, size=100)
                tracker = type(resource_tracker._resource_tracker).__module__
                pipe.send((tracker, memory.name, os.getpid(), len(trackers(os.getppid()))))
                pipe.recv()
                os.kill(os.getpid(), signal.SIGKILL)

            if __name__ == "__main__":
                for method in sys.argv[1].split(","):
                    ctx = multiprocessing.get_context(method)
                    ours, theirs = ctx.Pipe()
                    process = ctx.Process(target=die, args=(theirs,))
                    process.start()
                    tracker, name, pid, of_parent = ours.recv()
                    print(tracker, os.path.exists("/dev/shm/" + name), name, pid, of_parent)
                    ours.send("die")
                    process.join()
                    end = time.monotonic() + 30
                    while os.path.exists("/dev/shm/" + name) and time.monotonic() < end:
                        time.sleep(0.01)
                    print(os.path.exists("/dev/shm/" + name))
        """)
        done = self.run_python(program, METHODS)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 6, done.stderr)
        of_parents = []
        for told, gone in zip(lines[::2], lines[1::2]):
            tracker, there, name, pid, of_parent = told.split()
            of_parents.append(of_parent)
            self.assertEqual((tracker, there, gone), (OURS + "._tracker", "True", "False"))
            said = [line for line in done.stderr.splitlines() if name in line and pid in line]
            self.assertTrue(said, done.stderr)
        self.assertEqual(of_parents, ["1", "1", "0"], "the fork server uses the program's")

    def test_killed_program_leaves_no_names(self):
        """With engines whose locks have names for spawned children."""
        program = self.write("p.py", """
            import multiprocessing, os, signal
            if __name__ == "__main__":
                locks = [multiprocessing.get_context("spawn").Lock() for _ in range(3)]
                print(*[lock._semlock.name for lock in locks], flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
        """)
        for engine in ("sysv", "posix"):
            done = self.run_python("-m", OURS, "--engine", engine, program, status=-9)
            names = done.stdout.split()
            self.assertEqual(len(names), 3)
            until(lambda: not self.left(names), f"{engine}: the names go")
            for name in names:
                self.assertIn(name.lstrip("/"), done.stderr)

    def left(self, names):
        """Files of those names, or of a tracker."""
        words = [name.lstrip("/") for name in names] + ["semundo-tracker"]
        return [file for directory in ("/dev/shm", self.directory)
                for file in os.listdir(directory) if any(word in file for word in words)]
