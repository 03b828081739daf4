"""Spans of clients and workers, collected in memory by the SDK."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gearman_trio import (
    BYTES,
    JSON,
    TEXT,
    Abilities,
    Client,
    Fail,
    Job,
    JobFailed,
    JobRaised,
    Retry,
    SerializationError,
    Server,
    ServersUnavailable,
    open_client,
    open_server,
    open_worker,
)
from gearman_trio.serializers import Serializer
from gearman_trio.tracing import carrying_context, trace_jobs, traced

from .patience import PATIENCE

#: What every envelope begins with.
MAGIC = b"\0gearman_trio.context/1\0"


class Spans:
    """What was traced."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def names(self) -> list[str]:
        """Of the spans that have ended, in the order of their ends."""
        return [span.name for span in self._exporter.get_finished_spans()]

    def __getitem__(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return span

    async def wait(self, name: str, count: int = 1) -> None:
        """Wait until so many have ended: the span of a worker may end after the client has its result."""
        with trio.fail_after(PATIENCE):
            while self.names.count(name) < count:  # noqa: ASYNC110 - exporters tell nobody
                await trio.sleep(0.005)


def span_id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def trace_id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id


def parent_id(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


abilities = Abilities(serializer=carrying_context(JSON))
foreign_abilities = Abilities()
seen: list[bytes] = []


@abilities.function
async def resize(job: Job, width: int, height: int = 0) -> list[int]:
    seen.append(job.workload)
    return [width, height]


@abilities.function
async def anything() -> str:
    return "done"


@abilities.function
async def broken(value: int) -> int:
    raise ValueError("no such picture")


@abilities.function
async def failing(value: int) -> int:
    raise Fail("not today")


@foreign_abilities.function(serializer=JSON)
async def foreign(job: Job, value: int) -> int:
    seen.append(job.workload)
    return value


@foreign_abilities.function
async def opaque(workload: bytes) -> bytes:
    seen.append(workload)
    return workload


@pytest.fixture
def spans() -> Spans:
    seen.clear()
    return Spans()


@pytest.fixture
async def server(spans: Spans) -> AsyncIterator[Server]:
    async with open_server(port=0, drain_seconds=0) as running:
        yield running


@pytest.fixture
async def client(server: Server, spans: Spans) -> AsyncIterator[Client]:
    """A traced client of a server with traced workers."""
    middleware = [trace_jobs(tracer_provider=spans.provider)]
    async with (
        open_worker(abilities, server.url, middleware=middleware),
        open_worker(foreign_abilities, server.url, middleware=middleware),
        open_client(server.url) as opened,
    ):
        yield traced(opened, tracer_provider=spans.provider)


async def test_one_trace_goes_through_client_and_worker(client: Client, spans: Spans) -> None:
    with spans.provider.get_tracer("test").start_as_current_span("upload"):
        assert [640, 480] == await client.run(resize, 640, 480)
    await spans.wait("run resize")
    above, submitted, waited, ran = (
        spans[f"{name}"] for name in ("upload", "submit resize", "wait resize", "run resize")
    )

    assert [SpanKind.PRODUCER, SpanKind.CLIENT, SpanKind.CONSUMER] == [s.kind for s in (submitted, waited, ran)]
    assert [span_id(above), span_id(above), span_id(submitted)] == [parent_id(s) for s in (submitted, waited, ran)]
    assert {trace_id(above)} == {trace_id(s) for s in (submitted, waited, ran)}
    assert 1 == len({attributes_of(s)["messaging.message.id"] for s in (submitted, waited, ran)})
    assert "resize" == attributes_of(ran)["messaging.destination.name"]
    assert all(s.status.status_code is StatusCode.UNSET for s in (submitted, waited, ran))


async def test_spans_within_a_function_belong_to_that_of_its_job(server: Server, spans: Spans) -> None:
    inner = Abilities()
    tracer = spans.provider.get_tracer("test")

    @inner.function
    def thread(workload: bytes) -> bytes:
        with tracer.start_as_current_span("within"):
            return workload

    middleware = [trace_jobs(tracer_provider=spans.provider)]
    async with open_worker(inner, server.url, middleware=middleware), open_client(server.url) as client:
        await client.run("thread", b"")
    ran = spans["run thread"]

    assert span_id(ran) == parent_id(spans["within"])
    assert None is parent_id(ran)


async def test_background_job_belongs_to_its_submission(client: Client, spans: Spans) -> None:
    handle = await client.submit(resize, 1)
    await spans.wait("run resize")
    submitted = spans["submit resize"]

    assert span_id(submitted) == parent_id(spans["run resize"])
    assert handle.decode() == attributes_of(submitted)["messaging.message.id"]
    assert "wait resize" not in spans.names


async def test_watched_job_is_submitted_and_waited_for(client: Client, spans: Spans) -> None:
    before = trace.get_current_span()
    async with client.stream(resize, 1, 2) as job:
        assert "submit resize" in spans.names
        assert "wait resize" not in spans.names
        assert before is trace.get_current_span()
        assert [1, 2] == await job.result()
    await spans.wait("run resize")

    assert span_id(spans["submit resize"]) == parent_id(spans["run resize"])
    assert StatusCode.UNSET is spans["wait resize"].status.status_code


async def test_calls_of_other_kinds_make_no_spans_and_work(client: Client, spans: Spans) -> None:
    """Also within a block that watches a job."""
    async with client.stream(opaque, b"x") as job, client.pipeline() as pipeline:
        entry = pipeline.submit("opaque", b"y")
        assert b"z" == await client.map_reduce("opaque", "nothing", b"z")
        await job.result()

    assert entry.handle is not None
    assert ["submit opaque", "wait opaque"] == [name for name in spans.names if not name.startswith("run")]


async def test_options_keep_the_spans(client: Client, spans: Spans) -> None:
    await client.with_options(priority="high").run(resize, 1)

    assert {"submit resize", "wait resize"} <= set(spans.names)


# ---- what is sent ----


async def test_envelope_holds_the_workload_and_the_context(client: Client, spans: Spans) -> None:
    await client.run(resize, 1, 2)
    (workload,) = seen

    assert workload.startswith(MAGIC)
    headers, _, rest = workload.removeprefix(MAGIC).partition(b"\0")
    submitted = spans["submit resize"]
    # The flags behind it are the SDK's to choose.
    assert json.loads(headers)["traceparent"].startswith(f"00-{trace_id(submitted):032x}-{span_id(submitted):016x}-")
    assert {"width": 1, "height": 2} == json.loads(rest)


async def test_foreign_payloads_and_results_are_left_alone(client: Client, spans: Spans) -> None:
    assert 7 == await client.run(foreign, 7)
    assert b"7" == await client.run("foreign", b"7")
    assert b"x" == await client.run(opaque, b"x")
    # Also by its name, where nothing is known of the function.
    assert b"[1,2]" == await client.run("resize", b'{"width":1,"height":2}')
    await spans.wait("run resize")

    assert [b"7", b"7", b"x", b'{"width":1,"height":2}'] == seen
    assert None is parent_id(spans["run resize"])


async def test_who_is_not_traced_sends_no_envelope_and_is_understood(client: Client, server: Server) -> None:
    async with open_client(server.url) as untraced:
        assert [1, 2] == await untraced.run(resize, 1, 2)

    assert [b'{"width":1,"height":2}'] == seen


async def test_call_without_a_workload_has_no_envelope(client: Client, spans: Spans) -> None:
    assert "done" == await client.run(anything)
    await spans.wait("run anything")

    assert None is parent_id(spans["run anything"])


async def test_workload_that_is_the_unique_id_has_no_envelope(client: Client) -> None:
    await client.with_options(unique="-").run(resize, 1, 2)

    assert [b'{"width":1,"height":2}'] == seen


@pytest.mark.parametrize(
    "headers",
    [b"{", b"[]", b'{"traceparent": 7}', b'{"traceparent": "00-zz-11-01"}', b'{"x": "' + b"y" * 9000 + b'"}', b"\xff"],
)
async def test_headers_that_cannot_be_used_do_no_harm(headers: bytes, client: Client, spans: Spans) -> None:
    result = await client.run("resize", MAGIC + headers + b"\0" + b'{"width":1,"height":2}')
    await spans.wait("run resize")

    assert b"[1,2]" == result
    assert None is parent_id(spans["run resize"])


async def test_envelope_without_an_end_is_no_workload(client: Client) -> None:
    with pytest.raises(JobRaised, match="expected a NUL behind the headers of an envelope"):
        await client.run("resize", MAGIC + b"{}")


@pytest.mark.parametrize(("inner", "value"), [(BYTES, b"x"), (TEXT, "x"), (JSON, ["x"])], ids=repr)
def test_serializer_writes_as_the_one_within(inner: Serializer, value: object) -> None:
    serializer = carrying_context(inner)

    assert (inner.structured, inner.dumps(value)) == (serializer.structured, serializer.dumps(value))
    assert value == serializer.loads(inner.dumps(value)) == serializer.loads(MAGIC + b"{}\0" + inner.dumps(value))
    assert f"carrying_context({inner!r})" == repr(serializer)


# ---- what goes wrong ----


async def test_exception_is_an_error_of_worker_and_client(client: Client, spans: Spans) -> None:
    with pytest.raises(JobRaised):
        await client.run(broken, 1)
    await spans.wait("run broken")
    ran = spans["run broken"]

    assert (StatusCode.ERROR, "ValueError: no such picture") == (ran.status.status_code, ran.status.description)
    assert ["exception"] == [event.name for event in ran.events]
    assert StatusCode.ERROR is spans["wait broken"].status.status_code
    assert StatusCode.UNSET is spans["submit broken"].status.status_code


async def test_failure_is_an_error_too(client: Client, spans: Spans) -> None:
    with pytest.raises(JobFailed):
        await client.run(failing, 1)
    await spans.wait("run failing")

    assert StatusCode.ERROR is spans["run failing"].status.status_code


async def test_retry_is_an_order_and_no_error(spans: Spans) -> None:
    async def retrying() -> bytes:
        raise Retry

    class Stub:
        function, handle, workload = b"f", b"H:x:1", b""

    stub: Any = Stub()
    with pytest.raises(Retry):
        await trace_jobs(tracer_provider=spans.provider)(stub, retrying)
    ran = spans["run f"]

    assert (StatusCode.UNSET, ["retry"]) == (ran.status.status_code, [event.name for event in ran.events])


async def test_cancelled_call_ends_its_span_as_an_error(server: Server, spans: Spans) -> None:
    async with open_client(server.url) as opened, trio.open_nursery() as nursery:
        client = traced(opened, tracer_provider=spans.provider)
        nursery.start_soon(client.run, "nobody", b"")
        await spans.wait("submit nobody")
        nursery.cancel_scope.cancel()
    waited = spans["wait nobody"]

    assert (StatusCode.ERROR, "cancelled") == (waited.status.status_code, waited.status.description)


async def test_server_that_is_not_there_is_an_error_of_the_submission(spans: Spans) -> None:
    async with open_client("127.0.0.1:1") as opened:
        with pytest.raises(ServersUnavailable):
            await traced(opened, tracer_provider=spans.provider).run("f", b"")

    assert StatusCode.ERROR is spans["submit f"].status.status_code
    assert not trace.get_current_span().get_span_context().is_valid


async def test_call_that_cannot_be_made_raises_as_ever(client: Client, spans: Spans) -> None:
    wrong: Any = object()
    with pytest.raises(SerializationError):
        await client.run(resize, wrong)
    with pytest.raises(TypeError):
        await client.run(len, b"")

    assert ["submit resize", "submit ?"] == spans.names


async def test_without_an_sdk_nothing_is_sent_and_all_works(server: Server) -> None:
    async with open_worker(abilities, server.url, middleware=[trace_jobs()]), open_client(server.url) as client:
        assert [1, 2] == await traced(client).run(resize, 1, 2)

    assert [b'{"width":1,"height":2}'] == seen


def test_missing_library_is_named() -> None:
    program = "import sys; sys.modules['opentelemetry'] = None; import gearman_trio.tracing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "ConfigError: tracing needs opentelemetry: pip install 'gearman-trio[otel]'" in done.stderr
