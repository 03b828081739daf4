"""The sessions that judge a change; `nox` runs the default ones, `nox -l` lists them all."""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests", "typing", "lint", "arch", "docs", "examples"]
nox.options.error_on_missing_interpreters = False


@nox.session
def tests(session: nox.Session) -> None:
    """Run the whole suite; interoperation tests without their peer skip themselves."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def interop(session: nox.Session) -> None:
    """Run the tests against programs of other projects; GEARMAN_TRIO_REQUIRE_PEERS=1 forbids skipping."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-m", "interop", *session.posargs)


@nox.session
def kill(session: nox.Session) -> None:
    """Kill a job server with a store fifty times; the suite does it three times."""
    session.install(".[test]")
    command = ("python", "-m", "pytest", "tests/storage/test_kill.py", "--log-cli-level=INFO", *session.posargs)
    session.run(*command, env={"GEARMAN_TRIO_KILL_ROUNDS": "50"})


@nox.session
def examples(session: nox.Session) -> None:
    """Run every program in examples/ as a reader would."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "tests/test_examples.py", *session.posargs)


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of everything that pyproject.toml lists for mypy, and what users' type checkers see."""
    session.install(".[typing]")
    session.run("mypy", *session.posargs)
    session.run("python", "-m", "pytest", "tests/typing", env={"GEARMAN_TRIO_REQUIRE_CHECKERS": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format; `nox -s lint -- --fix` repairs what it can."""
    session.install(".[lint]")
    session.run("ruff", "check", *session.posargs, ".")
    session.run("ruff", "format", *([] if "--fix" in session.posargs else ["--check"]), ".")


@nox.session
def arch(session: nox.Session) -> None:
    """Check that imports point down the layers."""
    session.install(".[lint]")
    session.run("lint-imports", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a reference that leads nowhere is an error."""
    session.install(".[docs]")
    target = session.posargs[0] if session.posargs else session.create_tmp()
    session.run("sphinx-build", "-n", "-W", "--keep-going", "-E", "-b", "html", "docs", target)


@nox.session
def changelog(session: nox.Session) -> None:
    """Show what the next release notes would say."""
    session.install("towncrier>=24.8")
    session.run("towncrier", "build", "--draft", "--version", "next", *session.posargs)
