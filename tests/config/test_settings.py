"""Where values come from, which one wins, and what is said of a wrong one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from gearman_trio.config import OptionError, Settings, resolve, settings, sources
from gearman_trio.errors import ConfigError
from gearman_trio.server import ServerOptions


@pytest.fixture(autouse=True)
def _no_file_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "DEFAULT_CONFIG_FILE", tmp_path / "gearmand.conf")


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    return tmp_path / "words"


def from_toml(path: Path, text: str) -> Settings:
    path.write_text(text)
    return resolve({"config": str(path)}, {})


def from_words(path: Path, text: str) -> Settings:
    path.write_text(text)
    return resolve({"config-file": str(path)}, {})


# ---- precedence ------------------------------------------------------------------------------------------------------


def test_the_first_source_that_has_a_value_wins(toml: Path, words: Path) -> None:
    """Each source has one option less than the one after it."""
    names = ["worker-wakeup", "backlog", "threads", "file-descriptors", "hashtable-buckets"]
    words.write_text(" ".join(f"--{name}=4" for name in names[:4]))
    toml.write_text("".join(f"{name} = 3\n" for name in names[:3]))
    environ = {f"GEARMAND_{name.upper().replace('-', '_')}": "2" for name in names[:2]}
    given = {"worker-wakeup": "1", "config": str(toml), "config-file": str(words), "compat": "1.1"}

    found = resolve(given, environ)

    assert [1, 2, 3, 4, 991] == [found[name] for name in names]
    assert ["command line", "GEARMAND_BACKLOG", str(toml), str(words), "default"] == [
        found.origin(name) for name in names
    ]
    assert ("requeue", "--compat 1.1") == (found["timeout-action"], found.origin("timeout-action"))


def test_values_that_may_be_repeated_are_not_put_together() -> None:
    assert ["a"] == resolve({"listen": ["a"]}, {"GEARMAND_LISTEN": "b"})["listen"]


@pytest.mark.parametrize(
    ("compat", "expected"),
    [
        ("none", ServerOptions(verbosity="NOTICE", busy_poll_seconds=0.0001)),
        (
            "2",
            ServerOptions(
                verbosity="NOTICE",
                busy_poll_seconds=0.0001,
                worker_wakeup=0,
                requeue_on_timeout=True,
                requeue_on_cant_do=True,
            ),
        ),
        (
            "1.1",
            ServerOptions(
                verbosity="NOTICE",
                busy_poll_seconds=0.0001,
                worker_wakeup=0,
                requeue_on_timeout=True,
                requeue_on_cant_do=True,
                global_priority=False,
                round_robin=False,
            ),
        ),
    ],
)
def test_compat_makes_it_an_older_server(compat: str, expected: ServerOptions) -> None:
    assert expected == resolve({"compat": compat}, {}).server_options()


def test_an_option_counts_more_than_compat() -> None:
    options = resolve({"compat": "1.1", "round-robin": True, "worker-wakeup": "2"}, {}).server_options()

    assert (True, 2, False) == (options.round_robin, options.worker_wakeup, options.global_priority)


def test_gearmands_own_file_is_read_where_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "gearmand.conf"
    path.write_text("--port=4731")

    assert (4731, str(path)) == (resolve({}, {})["port"], resolve({}, {}).origin("port"))


def test_files_may_be_named_by_the_environment(toml: Path, words: Path) -> None:
    toml.write_text("port = 1")
    words.write_text("--backlog 2")

    found = resolve({}, {"GEARMAND_CONFIG": str(toml), "GEARMAND_CONFIG_FILE": str(words)})

    assert (1, 2) == (found["port"], found["backlog"])


# ---- the environment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("GEARMAND_PORT", "4731", "port", 4731),
        ("GEARMAND_PORT", "", "port", 4730),
        ("GEARMAND_DAEMON", "yes", "daemon", True),
        ("GEARMAND_ROUND_ROBIN", "OFF", "round-robin", False),
        ("GEARMAND_LISTEN", "a, [::1]:2 c", "listen", ["a", "[::1]:2", "c"]),
        ("GEARMAND_CA_CERTIFICATE", "ca", "ssl-ca-file", "ca"),
        ("GEARMAND_SERVER_PEM", "pem", "ssl-certificate", "pem"),
        ("GEARMAND_SERVER_KEY", "key", "ssl-key", "key"),
        ("GEARMAND_CHECK_ARGS", "yes", "check-args", False),
    ],
)
def test_environment(variable: str, text: str, name: str, value: Any) -> None:
    assert value == resolve({}, {variable: text})[name]


def test_flag_in_the_environment_is_yes_or_no() -> None:
    with pytest.raises(OptionError) as caught:
        resolve({}, {"GEARMAND_DAEMON": "perhaps"})

    assert ("daemon", "GEARMAND_DAEMON") == (caught.value.option, caught.value.origin)
    assert "expected one of yes, no, true, false, on, off, 1, 0, got 'perhaps'" == caught.value.reason


# ---- TOML ------------------------------------------------------------------------------------------------------------


def test_toml_has_the_types_of_its_values(toml: Path) -> None:
    found = from_toml(
        toml,
        """
        # Anything that TOML allows.
        port = 4731
        listen = ["a", "b:1"]
        job_retries = "3"
        drain-timeout = inf
        daemon = true
        keepalive = false
        """,
    )

    assert [4731, ["a", "b:1"], 3, float("inf"), True, False] == [
        found[name] for name in ("port", "listen", "job-retries", "drain-timeout", "daemon", "keepalive")
    ]


def test_single_text_does_for_a_list(toml: Path) -> None:
    assert ["a"] == from_toml(toml, 'listen = "a"')["listen"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "port = 65536",
            "--port (FILE): expected a whole number from 0 to 65535, or the name of a service, got '65536'",
        ),
        ("port = true", "--port (FILE): expected a text or a number, got True"),
        ("port = [1]", "--port (FILE): expected a text or a number, got [1]"),
        ("[port]\na = 1", "--port (FILE): expected a text or a number, got {'a': 1}"),
        ("port = 2026-01-01", "--port (FILE): expected a text or a number, got datetime.date(2026, 1, 1)"),
        ("listen = [1]", "--listen (FILE): expected a text or a list of texts, got [1]"),
        ("listen-mode = 888", "--listen-mode (FILE): expected permissions in octal, such as 660, got '888'"),
        ("listen-mode = 1777", "--listen-mode (FILE): expected permissions in octal, such as 660, got '1777'"),
        ("daemon = 1", "--daemon (FILE): expected true or false, got 1"),
        ('daemon = "yes"', "--daemon (FILE): expected true or false, got 'yes'"),
        ("keepalive-count = 0", "--keepalive-count (FILE): expected -1 or a whole number from 1 to 127, got 0"),
        ("wake-seconds = 0", "--wake-seconds (FILE): expected a number of at least 0.001, got 0.0"),
        ('wake-seconds = "soon"', "--wake-seconds (FILE): expected a number of at least 0.001, got 'soon'"),
        ("outbox-limit-bytes = 1.5", "--outbox-limit-bytes (FILE): expected a whole number of at least 1, got '1.5'"),
        ("prot = 1", "'FILE': there is no option 'prot'"),
        ("config = 'x'", "'FILE': 'config' is an option of the command line only"),
        ("version = true", "'FILE': 'version' is an option of the command line only"),
        ("port 1", "--config: 'FILE' is not TOML: "),
        ("\udcff", "--config: 'FILE' is not UTF-8: invalid start byte at byte 0"),
    ],
)
def test_wrong_toml_is_told_with_option_value_and_what_is_allowed(toml: Path, text: str, message: str) -> None:
    toml.write_text(text, errors="surrogateescape")

    with pytest.raises(ConfigError) as caught:
        resolve({"config": str(toml)}, {})

    assert str(caught.value).replace(str(toml), "FILE").startswith(message)


# ---- gearmand's words ------------------------------------------------------------------------------------------------


def test_words_are_those_of_the_command_line(words: Path) -> None:
    found = from_words(
        words,
        """
        # --port=1 is what gearmand finds even here.
        --port=4731 --listen a
        -L b -Lc:1 -j=5
        -dR -b7 --no-exceptions --syslog
        -w
        3
        """,
    )

    names = [
        "port",
        "listen",
        "job-retries",
        "daemon",
        "round-robin",
        "backlog",
        "exceptions",
        "syslog",
        "worker-wakeup",
    ]
    assert [4731, ["a", "b", "c:1"], 5, True, True, 7, False, True, 3] == [found[name] for name in names]


def test_the_last_of_two_words_counts(words: Path) -> None:
    assert 2 == from_words(words, "-p 1 -p 2")["port"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--nosuch", "'FILE': there is no option '--nosuch'"),
        ("--prot=1", "'FILE': there is no option '--prot=1'"),
        ("--no-port", "'FILE': there is no option '--no-port'"),
        ("-p 1 -Z", "'FILE': there is no option '-Z'"),
        ("port=1", "--config-file: 'FILE': expected an option, got 'port=1'"),
        ("-", "--config-file: 'FILE': expected an option, got '-'"),
        ("--port", "--port (FILE): expected a value after it"),
        ("-d -p", "--port (FILE): expected a value after it"),
        ("--daemon=yes", "--daemon (FILE): takes no value, got 'yes'"),
        ("-j many", "--job-retries (FILE): expected a whole number from -1 to 255, got 'many'"),
        ("--config-file x", "'FILE': '--config-file' is an option of the command line only"),
        ("-V", "'FILE': '-V' is an option of the command line only"),
    ],
)
def test_wrong_word_is_told_with_option_value_and_what_is_allowed(words: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_words(words, text)

    assert message == str(caught.value).replace(str(words), "FILE")


# ---- values ----------------------------------------------------------------------------------------------------------


def test_port_may_be_the_name_of_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getservbyname", lambda name, protocol: {"gearman": 4730}[name])

    assert 4730 == resolve({"port": "gearman"}, {})["port"]


@pytest.mark.parametrize("zone", ["Nowhere/City", "../../etc/passwd", "", "Europe", "\0"])
def test_time_zone_must_be_one(zone: str) -> None:
    with pytest.raises(OptionError, match="expected the name of a time zone, such as Europe/Berlin, got"):
        resolve({"time-zone": zone}, {})


def test_options_without_effect_are_those_that_were_given() -> None:
    found = resolve({"threads": "4", "hashtable-buckets": "10", "port": "1"}, {})

    assert ["hashtable-buckets", "threads"] == [option.name for option in found.without_effect()]
    assert [] == resolve({}, {}).without_effect()
    assert [
        "--hashtable-buckets has no effect: the tables of jobs grow by themselves.",
        "--threads has no effect: one thread does all work, and waits for nothing.",
    ] == found.remarks()


@pytest.mark.parametrize(
    ("given", "remark"),
    [
        ({"web-token": "a" * 16}, "--web-token has no effect without --web"),
        ({"web-hide-workloads": True}, "--web-hide-workloads has no effect without --web"),
        ({"ssl-certificate": "x"}, "--ssl-certificate has no effect without --ssl or --listen-tls"),
        ({"ssl-certificate": "x", "ssl": False}, "--ssl-certificate has no effect without --ssl or --listen-tls"),
        ({"durability": "normal"}, "--durability has no effect without --store or --queue-type"),
    ],
)
def test_options_that_come_to_nothing_without_another_one(given: dict[str, Any], remark: str) -> None:
    assert [remark] == resolve(given, {}).remarks()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"web-token": "a" * 16, "web-hide-workloads": True, "web": "8080"},
        {"web-hide-workloads": False},
        {"ssl-certificate": "x", "ssl": True},
        {"ssl-certificate": "x", "listen-tls": ["127.0.0.1:1"]},
        {"durability": "normal", "store": "sqlite:x"},
        {"durability": "normal", "queue-type": "libsqlite3"},
    ],
)
def test_options_with_what_they_need(given: dict[str, Any]) -> None:
    assert [] == resolve(given, {}).remarks()


def test_printed_settings_are_a_file_that_says_the_same(toml: Path) -> None:
    given: dict[str, bool | str | list[str]] = {
        "listen": ["a", 'é"\\'],
        "drain-timeout": "inf",
        "time-zone": "Europe/Berlin",
        "daemon": True,
    }
    first = resolve({**given, "mysql-password": "secret"}, {"GEARMAND_PORT": "1"})

    second = from_toml(toml, first.as_toml())

    shown = tomllib.loads(first.as_toml())
    assert "mysql-password" not in shown
    assert "secret" not in first.as_toml()
    assert [first[name] for name in shown] == [second[name] for name in shown]
    assert {str(toml)} == {second.origin(name) for name in shown}


def test_default_file_is_gearmands() -> None:
    assert Path("/etc/gearmand.conf") == sources.DEFAULT_CONFIG_FILE
