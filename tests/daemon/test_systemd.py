"""What a service manager hears, and the sockets that it hands over."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from gearman_trio.daemon import systemd
from gearman_trio.daemon.systemd import ServiceManager, inherited_sockets
from gearman_trio.errors import ConfigError


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(0)
        yield manager


def heard(manager: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(1000).decode())
        except BlockingIOError:
            return messages


def test_states_are_told(manager: socket.socket) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": manager.getsockname()})
    service.ready("listening on 127.0.0.1:4730")
    service.reloading()
    service.stopping()
    ready, reloading, stopping = heard(manager)

    assert "READY=1\nSTATUS=listening on 127.0.0.1:4730" == ready
    first, second = reloading.split("\n")
    assert "RELOADING=1" == first
    assert second.removeprefix("MONOTONIC_USEC=").isdigit()
    assert "STOPPING=1" == stopping


def test_name_of_the_socket_may_be_abstract() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        # An empty name: the kernel finds a free abstract one.
        manager.bind("")
        manager.settimeout(0)
        name = manager.getsockname()
        ServiceManager({"NOTIFY_SOCKET": "@" + name[1:].decode()}).stopping()

        assert ["STOPPING=1"] == heard(manager)


def test_manager_that_is_not_there_is_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "none")}).ready("")

    (record,) = caplog.records
    assert logging.WARNING == record.levelno
    assert "cannot be told READY=1: [Errno 2] No such file or directory" in record.message


async def test_without_a_manager_nothing_is_told_and_nothing_runs() -> None:
    service = ServiceManager({})
    service.ready("")
    with trio.testing.assert_no_checkpoints():
        await service.keep_alive()


async def test_watchdog_is_fed_twice_as_often_as_it_wants(
    manager: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    service = ServiceManager(
        {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
    )
    with trio.move_on_after(6.1):
        await service.keep_alive()

    # At 0, 1.5, 3, 4.5 and 6 seconds.
    assert ["WATCHDOG=1"] * 5 == heard(manager)


@pytest.mark.parametrize(
    "environ", [{"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": ""}, {"WATCHDOG_USEC": "soon"}]
)
async def test_watchdog_of_others_is_not_fed(manager: socket.socket, environ: dict[str, str]) -> None:
    await ServiceManager({"NOTIFY_SOCKET": manager.getsockname(), **environ}).keep_alive()

    assert [] == heard(manager)


# ---- sockets ---------------------------------------------------------------------------------------------------------


def handed_over(*sockets: socket.socket) -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": "x", "OTHER": "y"}


@pytest.fixture
def first_free(monkeypatch: pytest.MonkeyPatch) -> int:
    """Descriptors 3 and up are taken in this process; others take their place."""
    first = 200
    monkeypatch.setattr(systemd, "_FIRST_DESCRIPTOR", first)
    return first


def test_sockets_are_taken_over_in_order(first_free: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        for number, server in enumerate((one, two), start=first_free):
            os.dup2(server.fileno(), number)
        environ = handed_over(one, two)
        found = inherited_sockets(environ)

        assert [one.getsockname(), two.getsockname()] == [inherited.getsockname() for inherited in found]
        assert [False, False] == [inherited.get_inheritable() for inherited in found]
        assert {"OTHER": "y"} == environ
        for inherited in found:
            inherited.close()


@pytest.mark.parametrize("environ", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_FDS": "1"}])
def test_sockets_of_others_are_not_taken(environ: dict[str, str]) -> None:
    assert [] == inherited_sockets(environ)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_socket_that_does_not_listen_is_refused(first_free: int, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as silent:
        os.dup2(silent.fileno(), first_free)

        with pytest.raises(ConfigError, match="LISTEN_FDS: descriptor 200 is no stream socket that listens"):
            inherited_sockets(handed_over(silent))


def test_descriptor_that_is_none_is_refused(first_free: int) -> None:
    with pytest.raises(ConfigError, match="LISTEN_FDS: descriptor 200 is no socket: Bad file descriptor"):
        inherited_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
