"""The one table of options: complete, consistent, and with gearmand's names."""

from __future__ import annotations

import re
from typing import Literal

import attrs
import pytest

from gearman_trio.config import COMPAT, OPTIONS, Option
from gearman_trio.config.fields import field_options
from gearman_trio.config.table import by_name, by_short_name
from gearman_trio.errors import ConfigError
from gearman_trio.server import ServerOptions

#: The options of gearmand 1.1.20, as its help lists them, and those that only other builds and versions have.
GEARMAND = """
    -b --backlog -d --daemon --exceptions -f --file-descriptors -j --job-retries --job-handle-prefix
    --hashtable-buckets --keepalive --keepalive-idle --keepalive-interval --keepalive-count -l --log-file -L
    --listen -P --pid-file -r --protocol -R --round-robin -q --queue-type --config-file --syslog --coredump -t
    --threads -u --user --verbose -V --version -w --worker-wakeup --http-port -p --port --ssl --ssl-ca-file
    --ssl-certificate --ssl-key --check-args --libmemcached-servers --libmemcached-prefix --libsqlite3-db
    --libsqlite3-table --store-queue-on-shutdown --libpq-conninfo --libpq-table --redis-server --redis-port
    --redis-password --redis-prefix --mysql-host --mysql-port --mysql-user --mysql-password --mysql-db
    --mysql-table --libtokyocabinet-file --libtokyocabinet-optimize --libdrizzle-host --libdrizzle-port
    --libdrizzle-uds --libdrizzle-user --libdrizzle-password --libdrizzle-db --libdrizzle-table --libdrizzle-mysql
"""


@attrs.frozen
class Fields:
    """Fields of every type.

    Attributes:
        a_flag: of a field.
        a_count: of a field, over
            more than one line.
        some_seconds: of a field.
        a_text: of a field.
        a_word: of a field.
        a_list: of a field that makes no option.
    """

    a_flag: bool = False
    a_count: int = 0
    some_seconds: float = 0.0
    a_text: str = ""
    a_word: Literal["first", "second"] = "first"
    a_list: tuple[str, ...] = ()


def test_no_field_of_the_server_is_forgotten() -> None:
    """A field of a new type needs a row of its own in the table."""
    assert sorted(field.name for field in attrs.fields(ServerOptions)) == sorted(o.field for o in OPTIONS if o.field)


def test_every_option_of_gearmand_is_there_and_marked() -> None:
    spelled = {f"--{option.name}" for option in OPTIONS if option.gearmand}
    spelled |= {f"-{option.short}" for option in OPTIONS if option.short}

    assert set(GEARMAND.split()) == spelled


def test_names_are_unique() -> None:
    names = [option.name for option in OPTIONS]
    letters = [option.short for option in OPTIONS if option.short]
    variables = [variable for option in OPTIONS for variable in option.variables]

    assert sorted(set(names)) == sorted(names)
    assert sorted(set(letters)) == sorted(letters)
    assert sorted(set(variables)) == sorted(variables)
    assert OPTIONS == [by_name(name) for name in names]
    assert [o for o in OPTIONS if o.short] == [by_short_name(letter) for letter in letters]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_option_is_told_in_whole_sentences(option: Option) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", option.name)
    assert re.fullmatch(r"[A-Z].*[.]", option.help)
    assert not option.remark or option.remark.endswith(".")
    # Help is plain text.
    assert "`" not in option.help


@pytest.mark.parametrize(
    "option", [o for o in OPTIONS if isinstance(o.default, str | int | float)], ids=lambda o: o.name
)
def test_default_can_be_given_too(option: Option) -> None:
    assert option.default == option.kind.read(str(option.default).lower() if option.is_flag else str(option.default))


def test_what_compat_implies_are_options_with_values_that_they_take() -> None:
    for implied in COMPAT.values():
        for name, value in implied.items():
            option = by_name(name)
            assert option is not None
            assert value == option.kind.read(str(value).lower() if option.is_flag else str(value))


def test_environment_variables_follow_from_the_name() -> None:
    named = {option.name: option.variables for option in OPTIONS}

    assert ("GEARMAND_PORT",) == named["port"]
    assert ("GEARMAND_MAX_PACKET",) == named["max-packet"]
    assert ("GEARMAND_SERVER_KEY", "GEARMAND_SSL_KEY") == named["ssl-key"]
    assert () == named["check-args"]


def test_option_of_a_field_takes_after_it() -> None:
    (option,) = [o for o in field_options((), group="x") if o.field == "outbox_limit_bytes"]

    assert ("outbox-limit-bytes", "BYTES", 256 * 1024 * 1024) == (option.name, option.kind.metavar, option.default)
    assert option.help.startswith("When more waits to be sent to a peer, it is disconnected. The default lets a client")


def test_every_plain_type_of_field_makes_an_option() -> None:
    made = {o.name: o for o in field_options((), group="x", cls=Fields)}

    assert ["a-flag", "a-count", "some-seconds", "a-text", "a-word"] == list(made)
    assert ["", "N", "SECONDS", "TEXT", "WORD"] == [option.kind.metavar for option in made.values()]
    assert [True, 1, 1.5, "x", "second"] == [
        option.kind.read(text) for option, text in zip(made.values(), ("yes", "1", "1.5", "x", "second"), strict=True)
    ]
    assert "Of a field, over more than one line." == made["a-count"].help
    with pytest.raises(ConfigError, match="'third' is not one of 'first', 'second'"):
        made["a-word"].kind.read("third")


def test_fields_that_are_told_of_get_no_second_option() -> None:
    assert "outbox_limit_bytes" not in {o.field for o in field_options({"outbox_limit_bytes"}, group="x")}
