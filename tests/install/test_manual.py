# SPDX-License-Identifier: Apache-2.0
"""The manual is complete, agrees with the header, and its markup is clean."""
import os
import re
import subprocess

from conftest import run


def pages(installed):
    found = sorted(installed.dir("mandir").glob("man?/*"))
    assert found, "no manual page is installed"
    return found


def read(page):
    return page.read_text(encoding="utf-8")


def words(text):
    """The arguments of an mdoc macro: words, or texts in quotes."""
    return [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|(\S+)', text)]


def synopsis(page):
    """The prototypes of a page's SYNOPSIS: name -> (type, arguments)."""
    section = read(page).partition(".Sh SYNOPSIS")[2].partition(".Sh ")[0]
    found, returns, name = {}, None, None
    for line in section.splitlines():
        macro, _, rest = line.partition(" ")
        arguments = words(rest)
        if macro == ".Ft":
            returns = " ".join(arguments)
        elif macro == ".Fn":
            found[arguments[0]] = (returns, arguments[1:])
        elif macro == ".Fo":
            name = arguments[0]
            found[name] = (returns, [])
        elif macro == ".Fa":
            found[name][1].extend(arguments)
    return found


def test_every_function_has_a_page_that_names_it(installed):
    for name in installed.header_functions():
        page = installed.dir("mandir") / "man3" / f"{name}.3"
        assert page.exists(), f"no page for {name}"
        heading = read(page).partition(".Sh NAME")[2].partition(".Sh ")[0]
        assert re.search(rf"^\.Nm {name}\b", heading, re.M), f"{page} does not name {name}"


def test_prototypes_are_those_of_the_header(installed, tmp_path):
    prototypes = {}
    for page in pages(installed):
        if page.parent.name == "man3":
            prototypes.update(synopsis(page))
    assert set(prototypes) == set(installed.header_functions())
    source = tmp_path / "synopsis.c"
    source.write_text("#include <semundo.h>\n#include <semundo/semaphore.h>\n" + "".join(
        f"{returns} {name}({', '.join(arguments)});\n"
        for name, (returns, arguments) in prototypes.items()), encoding="utf-8")
    installed.run("cc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only",
                  *installed.pkg_config("--cflags"), source)


def test_parameters_have_the_names_of_the_header(installed):
    header = installed.header_functions()
    for page in pages(installed):
        for name, (_, arguments) in synopsis(page).items():
            text = header[name].partition("(")[2]
            for argument in arguments:
                if argument == "...":
                    continue
                last = re.findall(r"\w+", argument.partition(")")[0])[-1]
                assert re.search(rf"\b{last}\b", text), f"{page.name}: {name} has no {last}"


def test_every_error_of_the_header_is_in_the_manual(installed):
    header = "".join(path.read_text(encoding="utf-8") for path in installed.headers())
    manual = "".join(read(page) for page in pages(installed))
    errors = set(re.findall(r"-(E[A-Z]{3,})\b", header))
    assert errors
    assert [error for error in sorted(errors) if rf"\-{error}" not in manual] == []


def test_every_constant_of_the_header_is_in_the_manual(installed):
    header = "".join(path.read_text(encoding="utf-8") for path in installed.headers())
    manual = "".join(read(page) for page in pages(installed))
    internal = {"SEMUNDO_H", "SEMUNDO_SEMAPHORE_H", "SEMUNDO_API_VERSION", "SEMUNDO_WAIT_"}
    constants = set(re.findall(r"\bSEMUNDO_[A-Z_]+\b", header)) - internal
    assert [name for name in sorted(constants) if name not in manual] == []


def test_markup_is_clean(installed):
    """As mandoc and groff see it. Pages elsewhere are not looked for."""
    ignored = ("outdated mandoc.db", "referenced manual not found")
    for page in pages(installed):
        done = subprocess.run(["mandoc", "-T", "lint", page], capture_output=True, text=True,
                              check=False, timeout=60)
        complaints = [line for line in (done.stdout + done.stderr).splitlines()
                      if not any(words in line for words in ignored)]
        assert complaints == []
        environment = dict(os.environ, MANWIDTH="80", LC_ALL="C.UTF-8", MANROFFSEQ="")
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
                              env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), page


def test_references_between_pages_lead_somewhere(installed):
    man = installed.dir("mandir")
    for page in pages(installed):
        mdoc = re.findall(r"^\.Xr (semundo[\w-]*) (\d)", read(page), re.M)
        plain = re.findall(r"\b(semundo\w*)(?:\\f\w)? ?\((\d)\)", read(page))
        for name, section in mdoc + plain:
            target = man / f"man{section}" / f"{name}.{section}"
            assert target.exists(), f"{page.name} refers to {name}({section})"


def test_example_of_the_overview_runs(installed, tmp_path):
    page = read(installed.dir("mandir") / "man3" / "semundo.3")
    example = page.partition(".Bd -literal -offset indent\n")[2].partition("\n.Ed")[0]
    source = tmp_path / "example.c"
    source.write_text(example.replace("\\e", "\\"), encoding="utf-8")
    program = tmp_path / "example"
    installed.run("cc", "-Wall", "-Wextra", "-Werror", *installed.sanitizer(), source, "-o",
                  program, *installed.pkg_config("--cflags", "--libs"))
    assert installed.run(program) == ""
    run("rm", installed.work / "semundo.resizers")
