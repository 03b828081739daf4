"""``gearman-trio serve``: the stand-alone job server; its options are those of `gearman_trio.config`."""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version as package_version
from typing import Annotated, Any, Final

import typer

from ..config import COMMAND_LINE, OPTIONS, Option, OptionError, Settings, resolve
from ..daemon import (
    NOTICE,
    Launch,
    allow_core_dumps,
    check_installation,
    detach,
    raise_descriptor_limit,
    run_server,
    set_up_logging,
    switch_user,
)
from .running import Exit, errors_reported, fail, run_async

__all__ = ["main", "serve_command"]

logger = logging.getLogger(__name__)


def serve_command(**given: Any) -> None:
    """Run a job server until SIGTERM or Ctrl-C, which lets running jobs finish; a second one stops at once.

    Options come from the command line, then from environment variables (GEARMAND_ and the long name, as in
    GEARMAND_MAX_PACKET), then from the file of --config, then from that of --config-file.
    """
    if given.pop("version"):
        typer.echo(f"gearmand-trio {package_version('gearman-trio')}")
        return
    print_config, check_args = given.pop("print_config"), given.pop("check_args")
    with errors_reported():
        settings = _resolve({name.replace("_", "-"): value for name, value in given.items() if value not in (None, [])})
        if print_config:
            typer.echo(settings.as_toml(), nl=False)
            return
        launch = Launch.of(settings)
    if not check_args:
        _run(launch, settings.remarks())


def _parameter(option: Option) -> inspect.Parameter:
    """What Typer makes a command line option of. Defaults are told and not set, for other sources may have values."""
    spelling = f"--{option.name}"
    if option.is_flag and not option.here_only:
        spelling += f"/--no-{option.name}"
    declared = typer.Option(
        *([spelling, f"-{option.short}"] if option.short else [spelling]),
        metavar=option.kind.metavar or None,
        # In Typer's manner, which knows of no default that is only told.
        help=f"{option.help}  [default: {option.default_text}]" if option.default_text else option.help,
    )
    kind: Any = bool if option.is_flag else list[str] if option.repeated else str
    return inspect.Parameter(
        option.name.replace("-", "_"),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, declared],
    )


# Typer reads the options of a command from its signature.
serve_command.__signature__ = inspect.Signature([_parameter(option) for option in OPTIONS])  # type: ignore[attr-defined]


def _resolve(given: Mapping[str, Any]) -> Settings:
    try:
        return resolve(given, os.environ)
    except OptionError as exc:
        where = "" if exc.origin == COMMAND_LINE else f" ({exc.origin})"
        raise typer.BadParameter(exc.reason, param_hint=f"'--{exc.option}'{where}") from exc


def _run(launch: Launch, remarks: Sequence[str]) -> None:
    """Become what the server shall run as, then run it."""
    with errors_reported():
        raise_descriptor_limit(launch.file_descriptors)
        if launch.coredump:
            allow_core_dumps()
        if launch.user is not None:
            switch_user(launch.user)
            check_installation(launch.user)
    # Last before there is anything that a fork would take along.
    detachment = detach() if launch.daemon else None
    try:
        with errors_reported():
            set_up_logging(
                launch.verbosity, launch.log_file, json_lines=launch.log_format == "json", syslog=launch.syslog
            )
        for remark in remarks:
            logger.log(NOTICE, "%s", remark)
        run_async(_serve, launch, detachment.ready if detachment else lambda: None)
    except typer.Exit as exc:
        if detachment:
            detachment.failed(exc.exit_code)
        raise


async def _serve(launch: Launch, ready: Callable[[], None]) -> None:
    try:
        await run_server(launch, ready)
    except OSError as exc:
        fail(Exit.UNREACHABLE, exc.strerror or str(exc))


_gearmand: Final = typer.Typer(
    name="gearmand-trio",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_gearmand.command()(serve_command)


def main() -> None:
    """The entry point of the console script ``gearmand-trio``: the same command for unit files that call gearmand.

    Like gearmand it ends with 1, whatever was wrong.
    """
    try:
        _gearmand()
    except SystemExit as exc:
        sys.exit(1 if exc.code else 0)
