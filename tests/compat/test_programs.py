"""Programs that were written for pygearman run with nothing changed but their imports.

Two are the peers of our interoperation tests, written long before.  The others use the interface as its documentation
shows it, and are also run as they are, with pygearman.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import attrs
import pytest

from ..patience import PATIENCE
from ..peers import require_python_package

PEERS = Path(__file__).parents[1] / "interop" / "peers"

_IMPORTS = [
    ("from gearman.constants import", "from gearman_trio.compat.gearman.constants import"),
    ("from gearman import", "from gearman_trio.compat.gearman import"),
    ("import gearman\n", "from gearman_trio.compat import gearman\n"),
]

pytestmark = pytest.mark.slow


def switched(program: str) -> str:
    """A program with its imports changed."""
    for old, new in _IMPORTS:
        program = program.replace(old, new)
    assert "gearman_trio.compat" in program
    return program


@attrs.frozen
class Program:
    """A program that answers lines with lines."""

    stdin: IO[str]
    stdout: IO[str]

    def ask(self, do: str, **step: Any) -> Any:
        self.stdin.write(json.dumps({"do": do, **step}) + "\n")
        self.stdin.flush()
        return json.loads(self.stdout.readline())


@contextmanager
def running(text: str, path: Path, *arguments: str) -> Iterator[Program]:
    path.write_text(text, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(path), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with process.stdin, process.stdout:
            yield Program(process.stdin, process.stdout)
    finally:
        process.kill()
        process.wait(PATIENCE)


def job(function: str, workload: bytes) -> dict[str, str]:
    text = base64.b64encode(workload).decode()
    return {"function": function, "workload": text, "unique": "", "priority": "normal"}


def test_the_peers_of_the_interoperation_tests(server: str, tmp_path: Path) -> None:
    texts = [switched((PEERS / f"pygearman_{kind}.py").read_text(encoding="utf-8")) for kind in ("client", "worker")]
    port = server.partition(":")[2]
    names = ["reverse", "chunks", "warn", "progress", "fail", "empty"]
    with (
        running(texts[1], tmp_path / "worker.py", port, *names),
        running(texts[0], tmp_path / "client.py", port) as program,
    ):
        jobs = [job("reverse", b"abc\0"), *(job(name, b"") for name in names[1:])]
        reverse, chunks, warn, progress, fail, empty = program.ask("run", jobs=jobs)
        handle = program.ask("submit", jobs=[job("nobody", b"")])
        status = program.ask("status", handle=handle)
        version = program.ask("admin", call="get_version", arguments=[])

    assert base64.b64encode(b"\0cba").decode() == reverse["result"]
    assert [b"one\0", b"two\n", b""] == [base64.b64decode(chunk) for chunk in chunks["data"]]
    assert [b"careful\0\n"] == [base64.b64decode(warning) for warning in warn["warnings"]]
    assert [4, 4] == progress["progress"]
    assert "fail" == fail["end"]
    assert ("complete", "") == (empty["end"], empty["result"])
    assert [1, 0, 0, 0] == status
    assert version.startswith("OK ")


DOCUMENTED = """
import json
import sys
import threading

import gearman

SERVERS = [sys.argv[1]]


def report(request):
    if request.complete:
        print("finished", request.state, request.result, list(request.data_updates))
    elif request.timed_out:
        print("timed out")
    elif request.state == gearman.JOB_UNKNOWN:
        print("connection failed")


class JSONDataEncoder(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object):
        return json.dumps(encodable_object)

    @classmethod
    def decode(cls, decodable_string):
        return json.loads(decodable_string)


class JSONWorker(gearman.GearmanWorker):
    data_encoder = JSONDataEncoder
    polls = 0
    stop = False

    def after_poll(self, any_activity):
        self.polls += 1
        return not self.stop


class JSONClient(gearman.GearmanClient):
    data_encoder = JSONDataEncoder


def reverse(gearman_worker, gearman_job):
    return gearman_job.data[::-1]


def spell(gearman_worker, gearman_job):
    for index, character in enumerate(gearman_job.data):
        gearman_worker.send_job_data(gearman_job, character)
        gearman_worker.send_job_status(gearman_job, index + 1, len(gearman_job.data))
    return None


gm_worker = JSONWorker(SERVERS)
gm_worker.set_client_id("documented-worker")
gm_worker.register_task(b"documented-reverse", reverse)
gm_worker.register_task(b"documented-spell", spell)
thread = threading.Thread(target=gm_worker.work, kwargs={"poll_timeout": 0.05})
thread.start()

gm_client = JSONClient(SERVERS)
report(gm_client.submit_job("documented-reverse", "Hello World!", poll_timeout=60.0))
report(gm_client.submit_job("documented-spell", "abc", priority=gearman.PRIORITY_HIGH, poll_timeout=60.0))
request = gm_client.submit_job("documented-reverse", [1, 2], background=True, poll_timeout=60.0)
print(request.state, request.complete)

jobs = [dict(task="documented-reverse", data=word) for word in ("one", "two", "three")]
submitted = gm_client.submit_multiple_jobs(jobs, background=False, wait_until_complete=False, poll_timeout=60.0)
for request in gm_client.wait_until_jobs_completed(submitted, poll_timeout=60.0):
    report(request)

nobody = gm_client.submit_job("documented-nobody", "", poll_timeout=0.5)
report(nobody)
(nobody,) = gm_client.submit_multiple_requests([nobody], wait_until_complete=True, poll_timeout=0.5)
report(gm_client.get_job_status(nobody, poll_timeout=60.0))
print(nobody.status["known"], nobody.status["running"])

gm_admin = gearman.GearmanAdminClient(SERVERS)
tasks = [row["task"] for row in gm_admin.get_status() if row["task"].startswith("documented-")]
print(sorted(tasks))
print([row["client_id"] for row in gm_admin.get_workers() if row["tasks"]])
print(gm_admin.ping_server() < 60.0)

gm_worker.stop = True
thread.join(60)
print(gm_worker.polls > 0)
"""

PRINTED = """\
finished COMPLETE !dlroW olleH []
finished COMPLETE None ['a', 'b', 'c']
CREATED True
finished COMPLETE eno []
finished COMPLETE owt []
finished COMPLETE eerht []
timed out
True False
['documented-nobody', 'documented-reverse', 'documented-spell']
['documented-worker']
True
True
"""


def output_of(program: str, path: Path, server: str) -> str:
    path.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path), server], capture_output=True, text=True, timeout=PATIENCE, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def test_a_program_that_uses_everything_the_documentation_shows(server: str, tmp_path: Path) -> None:
    assert PRINTED == output_of(switched(DOCUMENTED), tmp_path / "program.py", server)


@pytest.mark.interop
def test_the_same_program_as_it_is(c_server: str, tmp_path: Path) -> None:
    require_python_package("gearman")

    assert PRINTED == output_of(DOCUMENTED, tmp_path / "program.py", c_server)


STEPWISE = """
import logging
import pickle
import sys
import threading

import gearman

SERVERS = [sys.argv[1]]

# Ours logs what a function raises; pygearman does not.
logging.disable(logging.CRITICAL)

go_on = threading.Semaphore(0)
stopping = threading.Event()


# Two threads print: a line must be one piece.
def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")


class PickleDataEncoder(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object):
        return pickle.dumps(encodable_object)

    @classmethod
    def decode(cls, decodable_string):
        return pickle.loads(decodable_string)


class HookedWorker(gearman.GearmanWorker):
    data_encoder = PickleDataEncoder

    def on_job_execute(self, current_job):
        say("begins", current_job.data)
        return super(HookedWorker, self).on_job_execute(current_job)

    def on_job_exception(self, current_job, exc_info):
        say("raised", exc_info[0].__name__)
        return super(HookedWorker, self).on_job_exception(current_job, exc_info)

    def on_job_complete(self, current_job, job_result):
        say("ended with", job_result)
        return super(HookedWorker, self).on_job_complete(current_job, job_result)

    def after_poll(self, any_activity):
        return not stopping.is_set()


class PickleClient(gearman.GearmanClient):
    data_encoder = PickleDataEncoder


def stepwise(gearman_worker, gearman_job):
    go_on.acquire()
    gearman_worker.send_job_status(gearman_job, 1, 3)
    go_on.acquire()
    gearman_worker.send_job_data(gearman_job, "half way")
    gearman_worker.send_job_warning(gearman_job, "nearly there")
    gearman_worker.send_job_status(gearman_job, 2, 3)
    go_on.acquire()
    return gearman_job.data[::-1]


def broken(gearman_worker, gearman_job):
    return gearman_job.data["missing"]


def work():
    gm_worker = HookedWorker(SERVERS)
    gm_worker.register_task(b"stepwise", stepwise)
    gm_worker.register_task(b"broken", broken)
    gm_worker.work(poll_timeout=0.05)


thread = threading.Thread(target=work)
thread.start()

gm_client = PickleClient(SERVERS)
request = gm_client.submit_job("stepwise", [1, 2, 3], background=False, wait_until_complete=False, poll_timeout=60.0)
say(request.state, request.complete)


def wait_until(numerator):
    while True:
        gm_client.get_job_status(request, poll_timeout=60.0)
        if request.status["running"] and request.status["numerator"] == numerator:
            break
    say("known", request.status["known"], "step", numerator, "of", request.status["denominator"])


wait_until(0)
go_on.release()
wait_until(1)
go_on.release()
wait_until(2)
say(list(request.data_updates), list(request.warning_updates))
go_on.release()
(request,) = gm_client.wait_until_jobs_completed([request], poll_timeout=60.0)
say(request.state, request.result, request.timed_out)
gm_client.get_job_status(request, poll_timeout=60.0)
say("known", request.status["known"])

request = gm_client.submit_job("broken", {}, poll_timeout=60.0)
say(request.state, request.complete)

stopping.set()
thread.join(60)
"""

STEPWISE_PRINTED = """\
CREATED False
begins [1, 2, 3]
known True step 0 of 0
known True step 1 of 3
known True step 2 of 3
['half way'] ['nearly there']
ended with [3, 2, 1]
COMPLETE [3, 2, 1] False
known False
begins {}
raised KeyError
FAILED True
"""


def test_a_job_that_is_asked_about_while_it_runs(server: str, tmp_path: Path) -> None:
    printed = output_of(switched(STEPWISE), tmp_path / "program.py", server)

    assert sorted(STEPWISE_PRINTED.splitlines()) == sorted(printed.splitlines())


@pytest.mark.interop
def test_the_same_job_with_pygearman(c_server: str, tmp_path: Path) -> None:
    require_python_package("gearman")
    printed = output_of(STEPWISE, tmp_path / "program.py", c_server)

    assert sorted(STEPWISE_PRINTED.splitlines()) == sorted(printed.splitlines())
