"""Jobs as a line of JSON and the workload."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gearman_trio import StorageError
from gearman_trio.storage import StoredJob
from gearman_trio.storage.records import read_record, write_record

from .test_sqlite import job

ALL_BYTES = bytes(range(256))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"handle": ALL_BYTES, "function": b'a"b\\', "unique": b"\xe9\0", "reducer": b"\n{}"},
        {"priority": 2, "attempts": 10**12, "background": False, "workload": b""},
        {"run_at": 1e22, "created": 1_767_225_600.123456},
        {"run_at": 5e-324, "created": -0.1},
        {"error": 'it\'s "100 %" {\N{SNOWMAN}\N{GRINNING FACE}\n}\x7f'},
        # Not exactly the types, or no finite number.
        {"run_at": 0, "background": 1},
        {"created": float("inf")},
    ],
    ids=str,
)
def test_a_record_is_what_the_json_module_makes_of_a_job(changed: dict[str, Any]) -> None:
    stored = job(7, ALL_BYTES)._replace(**changed)
    texts = {
        name: value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in stored._replace(workload=b"")._asdict().items()
        if name not in ("row", "workload")
    }
    fields = {{"unique": "unique_id"}.get(name, name): value for name, value in texts.items()}

    record = write_record(stored, 3)

    assert json.dumps({**fields, "epoch": 3}).encode() + b"\n" + stored.workload == record
    assert not isinstance(read_record(7, record), StoredJob) or stored == read_record(7, record)


@pytest.mark.parametrize("changed", [{"workload": 5}, {"handle": "text"}, {"error": b"bytes"}], ids=str)
def test_what_is_no_job_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(StorageError, match="cannot be stored"):
        write_record(job(7)._replace(**changed), 3)
