# SPDX-License-Identifier: Apache-2.0
"""What is installed of the library can be compiled against, linked and run."""
import re

import pytest

from conftest import HEADERS, HERE, run

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
HEADER_MODES = [("cc", "c", "c11"), ("cc", "c", "gnu11"), ("cc", "c", "c17"),
                ("c++", "c++", "c++11"), ("c++", "c++", "c++17"), ("c++", "c++", "c++20")]
PROGRAMS = [("cc", "program.c", "gnu11"), ("c++", "program.cc", "c++17")]


def version(installed):
    return installed.pkg_config("--modversion")[0]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("compiler, language, standard", HEADER_MODES)
def test_header_compiles_alone(installed, header, compiler, language, standard):
    installed.run(compiler, "-x", language, f"-std={standard}", *WARNINGS, "-Wconversion",
                  *installed.pkg_config("--cflags"), "-include", header,
                  "-fsyntax-only", "/dev/null")


@pytest.mark.parametrize("compiler, source, standard", PROGRAMS)
def test_program_with_shared_library(installed, tmp_path, compiler, source, standard):
    program = tmp_path / "program"
    installed.run(compiler, f"-std={standard}", *WARNINGS, *installed.sanitizer(), HERE / source,
                  "-o", program, *installed.pkg_config("--cflags", "--libs"))
    assert "libsemundo.so.0" in run("readelf", "-d", program)
    assert installed.run(program) == f"semundo {version(installed)}\n"


@pytest.mark.parametrize("compiler, source, standard", PROGRAMS)
def test_program_with_static_library(installed, tmp_path, compiler, source, standard):
    program = tmp_path / "program"
    flags = installed.pkg_config("--static", "--cflags", "--libs")
    flags = ["-l:libsemundo.a" if flag == "-lsemundo" else flag for flag in flags]
    installed.run(compiler, f"-std={standard}", *WARNINGS, *installed.sanitizer(), HERE / source,
                  "-o", program, *flags)
    assert "libsemundo" not in run("readelf", "-d", program)
    assert installed.run(program) == f"semundo {version(installed)}\n"


def test_program_changes_by_one_include(installed, tmp_path):
    """A plain POSIX program, its include of <semaphore.h> exchanged."""
    text = (HERE / "posix_program.c").read_text(encoding="utf-8")
    assert text.count("#include <semaphore.h>") == 1
    source = tmp_path / "program.c"
    source.write_text(text.replace("<semaphore.h>", "<semundo/semaphore.h>"), encoding="utf-8")
    for language, compiler in (("c", "cc"), ("c++", "c++")):
        program = tmp_path / compiler
        installed.run(compiler, "-x", language, *WARNINGS, *installed.sanitizer(), source, "-o",
                      program, *installed.pkg_config("--cflags", "--libs"))
        assert installed.run(program) == "value 2, then 1\n"
        undefined = run("nm", "-D", "--undefined-only", program)
        assert "semundo_sem_open" in undefined and not re.search(r" sem_", undefined)
        run("rm", installed.work / "semundo.posix-program")


def test_exported_symbols_are_those_of_the_header(installed):
    lines = run("nm", "-D", "--defined-only", installed.dir("libdir") / "libsemundo.so")
    symbols = {line.split()[-1].partition("@")[0] for line in lines.splitlines()
               if line.split()[-2] != "A"}
    functions = set(installed.header_functions())
    assert functions, "no function found in the header"
    assert symbols == functions


def test_static_library_defines_only_names_of_its_own(installed):
    lines = run("nm", "-g", "--defined-only", installed.dir("libdir") / "libsemundo.a")
    symbols = [line.split()[-1] for line in lines.splitlines() if len(line.split()) == 3]
    assert len(symbols) > len(installed.header_functions())
    own = ("semundo_", "__odr_asan") if installed.sanitizer() else ("semundo_",)
    assert [name for name in symbols if not name.startswith(own)] == []


def test_test_hooks_are_not_shipped(installed):
    for library in ("libsemundo.so", "libsemundo.a"):
        assert "semundo__test" not in run("nm", installed.dir("libdir") / library)


def test_shared_library_is_versioned_and_never_unloaded(installed):
    dynamic = run("readelf", "-d", installed.dir("libdir") / "libsemundo.so")
    assert re.search(r"SONAME.*\[libsemundo\.so\.0\]", dynamic)
    assert re.search(r"FLAGS_1.*NODELETE", dynamic)
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


def test_shared_library_needs_the_c_library_only(installed):
    dynamic = run("readelf", "-d", installed.dir("libdir") / "libsemundo.so")
    needed = set(re.findall(r"NEEDED.*\[(.*?)\]", dynamic))
    allowed = {"libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
    if installed.sanitizer():
        allowed |= {name for name in needed if re.match(r"lib[a-z]+san\.so", name)}
        allowed |= {"libm.so.6", "libgcc_s.so.1", "libresolv.so.2"}
    assert needed and needed <= allowed
