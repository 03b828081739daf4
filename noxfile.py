"""The sessions that judge a change; `nox` runs the default ones, `nox -l` lists them all."""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests", "tests_compiled", "typing", "lint", "arch", "docs", "examples"]
nox.options.error_on_missing_interpreters = False

#: What setup.py reads. Compiling takes a minute, and only the sessions that are about it need it.
PURE = {"GEARMAN_TRIO_PURE": "1"}
COMPILED = {"GEARMAN_TRIO_PURE": "0"}

#: A compiled wheel of this tree, as `build` makes it; sessions that are given one do not compile again.
WHEEL = os.environ.get("GEARMAN_TRIO_WHEEL", "")


def _install_compiled(session: nox.Session, extra: str) -> None:
    if WHEEL:
        session.log(f"the compiled core comes from {WHEEL}")
    session.install(f"{WHEEL or '.'}[{extra}]", env=COMPILED)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the whole suite on the sources; interoperation tests without their peer skip themselves."""
    session.install(".[test]", env=PURE)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def tests_compiled(session: nox.Session) -> None:
    """Run the whole suite on an installation with the compiled core."""
    _install_compiled(session, "test")
    # Without the first, Python would find the sources in the current folder before what is installed.
    session.run(
        "python",
        "-m",
        "pytest",
        *session.posargs,
        env={"PYTHONSAFEPATH": "1", "GEARMAN_TRIO_REQUIRE_COMPILED": "1"},
    )


@nox.session
def interop(session: nox.Session) -> None:
    """Run the tests against programs of other projects; GEARMAN_TRIO_REQUIRE_PEERS=1 forbids skipping."""
    session.install(".[test]", env=PURE)
    session.run("python", "-m", "pytest", "-m", "interop", *session.posargs)


@nox.session
def kill(session: nox.Session) -> None:
    """Kill a job server with a store, fifty times with SQLite and ten with each other; the suite does less of it."""
    _install_compiled(session, "test")
    command = ("python", "-m", "pytest", "tests/storage/test_kill.py", "--log-cli-level=INFO", *session.posargs)
    session.run(*command, env={"GEARMAN_TRIO_KILL_ROUNDS": "50"})


@nox.session
def hostile(session: nox.Session) -> None:
    """Let 100,000 connections come and go, and hostile peers do all else that they do, twice; the suite has 1,000."""
    session.install(".[test]", env=PURE)
    command = ("python", "-m", "pytest", "tests/server/test_faults.py", "--log-cli-level=INFO", *session.posargs)
    session.run(*command, env={"GEARMAN_TRIO_HOSTILE_CONNECTIONS": "50000", "GEARMAN_TRIO_HOSTILE_ROUNDS": "2"})


@nox.session
def examples(session: nox.Session) -> None:
    """Run every program in examples/ as a reader would."""
    session.install(".[test]", env=PURE)
    session.run("python", "-m", "pytest", "tests/test_examples.py", *session.posargs)


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of everything that pyproject.toml lists for mypy, and what users' type checkers see."""
    session.install(".[typing]", env=PURE)
    session.run("mypy", *session.posargs)
    session.run("python", "-m", "pytest", "tests/typing", env={"GEARMAN_TRIO_REQUIRE_CHECKERS": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format; `nox -s lint -- --fix` repairs what it can."""
    session.install(".[lint]", env=PURE)
    session.run("ruff", "check", *session.posargs, ".")
    session.run("ruff", "format", *([] if "--fix" in session.posargs else ["--check"]), ".")


@nox.session
def arch(session: nox.Session) -> None:
    """Check that imports point down the layers."""
    session.install(".[lint]", env=PURE)
    session.run("lint-imports", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a reference that leads nowhere is an error."""
    session.install(".[docs]", env=PURE)
    target = session.posargs[0] if session.posargs else session.create_tmp()
    session.run("sphinx-build", "-n", "-W", "--keep-going", "-E", "-b", "html", "docs", target)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure: `nox -s bench -- libraries`, `loads`, `durable`, `flight` or `instructions`; each takes --help."""
    _install_compiled(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def changelog(session: nox.Session) -> None:
    """Show what the next release notes would say."""
    session.install("towncrier>=24.8")
    session.run("towncrier", "build", "--draft", "--version", "next", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the source distribution and both wheels; install each apart from all else and run the demonstration."""
    session.install("build>=1.2")
    target = Path(session.posargs[0] if session.posargs else session.create_tmp()).absolute()
    before = set(target.glob("*"))
    session.run("python", "-m", "build", "--outdir", str(target), env=COMPILED)
    (source,) = set(target.glob("*.tar.gz")) - before
    (compiled,) = set(target.glob("*.whl")) - before
    session.run("python", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(target), str(source), env=PURE)
    (pure,) = set(target.glob("*-none-any.whl")) - before
    _try_out(session, compiled, "compiled core")
    _try_out(session, pure, "pure Python core")
    # `false` is a compiler that never works.
    _try_out(session, source, "pure Python core", env={**COMPILED, "CC": "false"})


def _try_out(session: nox.Session, artifact: Path, core: str, env: dict[str, str] | None = None) -> None:
    folder = Path(session.create_tmp()) / f"{artifact.name}.venv"
    session.run("python", "-m", "venv", "--clear", str(folder))
    python = str(folder / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", str(artifact), env=env, external=True)
    # -P: not the sources in the current folder.
    command = [python, "-P", "-m", "gearman_trio"]
    said = str(session.run(*command, "version", silent=True, external=True))
    session.log(said)
    if core not in said:
        session.error(f"{artifact.name}: expected a {core}")
    session.run(*command, "demo", external=True)
