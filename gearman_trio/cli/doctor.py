"""``gearman-trio doctor``: what is wrong with a job server, if anything."""

from __future__ import annotations

import json
from typing import Annotated

import attrs
import typer

from ..transport import parse_address
from .destination import Destination, asks_server_argument
from .examination import examine
from .finding import Finding, Verdict
from .options import JsonOption
from .running import Exit, run_async

__all__ = ["doctor_command"]


@asks_server_argument
def doctor_command(
    destination: Destination,
    *,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Run jobs of a function of its own too, one of them scheduled, to see the clock."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a job server, and say what is wrong: is it there, does it answer, does anybody do its jobs?

    Exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage, 3 it was not reached.
    """
    findings = run_async(_examine, destination, probe, as_json)
    if as_json:
        typer.echo(json.dumps([attrs.asdict(finding) for finding in findings]))
    if any(finding.verdict is not Verdict.OK for finding in findings):
        raise typer.Exit(Exit.JOB_FAILED)


async def _examine(destination: Destination, probe: bool, silent: bool) -> list[Finding]:
    findings = []

    def report(finding: Finding) -> None:
        findings.append(finding)
        if not silent:
            typer.echo(f"{finding.verdict:<8} {finding.what}: {finding.text}")

    await examine(parse_address(destination.address), report, ssl_context=destination.tls, probe=probe)
    return findings
