"""``gearman-trio doctor``: what is wrong with a job server, if anything."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Annotated

import attrs
import typer

from ..errors import ConfigError
from ..transport import parse_address
from .examination import Finding, Verdict, examine
from .options import JsonOption, checked, server_address
from .running import Exit, errors_reported, run_async

__all__ = ["doctor_command"]


def doctor_command(
    server: Annotated[
        str,
        typer.Argument(metavar="HOST:PORT", help="The job server.", callback=checked(server_address)),
    ] = "127.0.0.1:4730",
    *,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Run jobs of a function of its own too, one of them scheduled, to see the clock."),
    ] = False,
    tls: Annotated[bool, typer.Option("--tls", "-S", help="Speak TLS.")] = False,
    tls_ca: Annotated[
        Path | None, typer.Option("--tls-ca", metavar="FILE", help="Who must have signed the server's certificate.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a job server, and say what is wrong: is it there, does it answer, does anybody do its jobs?

    Exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage, 3 it was not reached.
    """
    with errors_reported():
        context = _context(tls_ca) if tls or tls_ca else None
    findings = run_async(_examine, server, context, probe, as_json)
    if as_json:
        typer.echo(json.dumps([attrs.asdict(finding) for finding in findings]))
    if any(finding.verdict is not Verdict.OK for finding in findings):
        raise typer.Exit(Exit.JOB_FAILED)


def _context(authority: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as exc:
        raise ConfigError(f"--tls-ca: {str(authority)!r} cannot be used: {exc.strerror or exc}") from exc


async def _examine(server: str, context: ssl.SSLContext | None, probe: bool, silent: bool) -> list[Finding]:
    findings = []

    def report(finding: Finding) -> None:
        findings.append(finding)
        if not silent:
            typer.echo(f"{finding.verdict:<8} {finding.what}: {finding.text}")

    await examine(parse_address(server), report, ssl_context=context, probe=probe)
    return findings
