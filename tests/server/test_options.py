"""Options: a wrong value is refused in words that say which option, which value, and what is allowed."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gearman_trio.errors import ConfigError
from gearman_trio.server import ServerOptions


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_attempts", -1, "max_attempts: expected a whole number of at least 0, got -1"),
        ("max_attempts", 1.5, "max_attempts: expected a whole number of at least 0, got 1.5"),
        ("max_attempts", True, "max_attempts: expected a whole number of at least 0, got True"),
        ("worker_wakeup", -1, "worker_wakeup: expected a whole number of at least 0, got -1"),
        ("wake_seconds", 0, "wake_seconds: expected a number of at least 0.001, got 0"),
        ("wake_seconds", math.nan, "wake_seconds: expected a number of at least 0.001, got nan"),
        ("wake_seconds", "1", "wake_seconds: expected a number of at least 0.001, got '1'"),
        ("max_packet_bytes", 0, "max_packet_bytes: expected a whole number from 1 to 4294967295, got 0"),
        ("max_packet_bytes", 2**32, "max_packet_bytes: expected a whole number from 1 to 4294967295, got 4294967296"),
        ("max_packet_bytes", "1M", "max_packet_bytes: expected a whole number from 1 to 4294967295, got '1M'"),
        ("max_function_bytes", 0, "max_function_bytes: expected a whole number from 1 to 8192, got 0"),
        ("max_unique_bytes", 9999, "max_unique_bytes: expected a whole number from 1 to 8192, got 9999"),
        ("max_client_id_bytes", 0, "max_client_id_bytes: expected a whole number from 1 to 8192, got 0"),
        ("max_jobs", -1, "max_jobs: expected a whole number of at least 0, got -1"),
        ("max_jobs_per_function", -1, "max_jobs_per_function: expected a whole number of at least 0, got -1"),
        ("max_held_bytes", "1G", "max_held_bytes: expected a whole number of at least 0, got '1G'"),
        (
            "max_held_bytes_per_function",
            0.5,
            "max_held_bytes_per_function: expected a whole number of at least 0, got 0.5",
        ),
        ("max_connections", -1, "max_connections: expected a whole number of at least 0, got -1"),
        (
            "max_connections_per_address",
            -1,
            "max_connections_per_address: expected a whole number of at least 0, got -1",
        ),
        ("packet_seconds", 0, "packet_seconds: expected a number of at least 0.001, got 0"),
        ("unread_seconds", "never", "unread_seconds: expected a number of at least 0.001, got 'never'"),
        ("idle_seconds", math.nan, "idle_seconds: expected a number of at least 0.001, got nan"),
        ("outbox_pause_bytes", 0, "outbox_pause_bytes: expected a whole number of at least 1, got 0"),
        ("outbox_limit_bytes", 0, "outbox_limit_bytes: expected a whole number of at least 1, got 0"),
        ("handshake_seconds", 0, "handshake_seconds: expected a number of at least 0.001, got 0"),
        ("close_seconds", -0.5, "close_seconds: expected a number of at least 0, got -0.5"),
        ("handle_prefix", "", "handle_prefix: expected 1 to 43 printable ASCII characters without blanks, got ''"),
        (
            "handle_prefix",
            "a b",
            "handle_prefix: expected 1 to 43 printable ASCII characters without blanks, got 'a b'",
        ),
        ("handle_prefix", "ü", "handle_prefix: expected 1 to 43 printable ASCII characters without blanks, got 'ü'"),
        ("handle_prefix", b"H", "handle_prefix: expected 1 to 43 printable ASCII characters without blanks, got b'H'"),
        (
            "handle_prefix",
            "h" * 44,
            f"handle_prefix: expected 1 to 43 printable ASCII characters without blanks, got {'h' * 44!r}",
        ),
        (
            "verbosity",
            "debug",
            "verbosity: expected FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG, got 'debug'",
        ),
    ],
)
def test_wrong_value_is_refused(name: str, value: object, message: str) -> None:
    arguments: dict[str, Any] = {name: value}

    with pytest.raises(ConfigError) as caught:
        ServerOptions(**arguments)

    assert message == str(caught.value)


def test_least_and_largest_values_are_taken() -> None:
    options = ServerOptions(
        max_attempts=0,
        worker_wakeup=0,
        wake_seconds=0.001,
        max_packet_bytes=4_294_967_295,
        outbox_pause_bytes=1,
        outbox_limit_bytes=1,
        handshake_seconds=0.001,
        close_seconds=0,
        handle_prefix="h" * 43,
        verbosity="DEBUG",
    )

    policy = options.policy(version="1", first_handle=7)

    assert (b"h" * 43, 7, "1", "DEBUG") == (policy.handle_prefix, policy.first_handle, policy.version, policy.verbosity)


def test_default_prefix_is_one_that_clients_know() -> None:
    assert ServerOptions().handle_prefix.startswith("H:")
