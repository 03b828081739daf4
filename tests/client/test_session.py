"""Matching by plain calls: packets in, what each request was told out."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearman_trio.client.session import APART, ForegroundRequest, Request, Session
from gearman_trio.errors import (
    GearmanError,
    JobFailed,
    JobLost,
    JobRaised,
    RemoteProtocolError,
    ServerError,
    ServersUnavailable,
)
from gearman_trio.protocol import Decoder, PacketType, encode_response

P = PacketType


class Recorder(Request):
    """Notes what it is told."""

    def __init__(self, expected: int = P.JOB_CREATED) -> None:
        super().__init__(expected)
        self.told: list[object] = []
        self.ends = 0

    def answered(self, fields: list[bytes]) -> None:
        self.told.append(fields)
        self.ends += 1

    def failed(self, error: GearmanError) -> None:
        self.told.append(error)
        self.ends += 1


class JobRecorder(Recorder, ForegroundRequest):
    """The same of a job, which goes on when it is answered."""

    def answered(self, fields: list[bytes]) -> None:
        self.told.append(fields)

    def progressed(self, kind: int, payload: bytes) -> None:
        self.told.append((PacketType(kind), payload))

    def completed(self, result: bytes) -> None:
        self.told.append(result)
        self.ends += 1


def job() -> JobRecorder:
    return JobRecorder()


def session_of(*requests: Request) -> Session:
    session = Session("here:4730")
    for request in requests:
        session.expect(request)
    return session


def receive(session: Session, *packets: bytes) -> None:
    session.receive(Decoder(responses=True).feed(b"".join(packets)))


def created(handle: bytes) -> bytes:
    return encode_response(P.JOB_CREATED, handle)


def complete(handle: bytes, result: bytes) -> bytes:
    return encode_response(P.WORK_COMPLETE, handle, result)


def data(handle: bytes, part: bytes) -> bytes:
    return encode_response(P.WORK_DATA, handle, part)


def error_of(request: Recorder) -> GearmanError:
    error = request.told[-1]
    assert isinstance(error, GearmanError)
    return error


def test_golden_bytes_of_one_job() -> None:
    one = job()
    session = session_of(one)

    receive(
        session,
        b"\0RES\0\0\0\x08\0\0\0\x05H:v:1",
        b"\0RES\0\0\0\x1c\0\0\0\x09H:v:1\0a\0b",
        b"\0RES\0\0\0\x0c\0\0\0\x09H:v:1\x001\x002",
        b"\0RES\0\0\0\x1d\0\0\0\x07H:v:1\0w",
        b"\0RES\0\0\0\x0d\0\0\0\x08H:v:1\0\n\0",
    )

    assert [[b"H:v:1"], (P.WORK_DATA, b"a\0b"), (P.WORK_STATUS, b"1\x002"), (P.WORK_WARNING, b"w"), b"\n\0"] == one.told


def test_large_parts_of_a_job_that_come_apart_are_told_as_any_other() -> None:
    one, two = job(), job()
    session = session_of(one, two)
    decoder = Decoder(responses=True, apart=APART)
    part, warning, result, text = (letter * 70_000 for letter in (b"p", b"w", b"r", b"e"))
    stream = b"".join(
        [
            created(b"H:1"),
            created(b"H:2"),
            data(b"H:stray", part),
            data(b"H:1", part),
            encode_response(P.WORK_WARNING, b"H:1", warning),
            data(b"H:1", b""),
            complete(b"H:stray", result),
            complete(b"H:1", result),
            encode_response(P.WORK_EXCEPTION, b"H:2", text),
        ]
    )
    for start in range(0, len(stream), 1000):
        session.receive(decoder.feed(stream[start : start + 1000]))

    told = [(P.WORK_DATA, part), (P.WORK_WARNING, warning), (P.WORK_DATA, b""), result]
    assert [[b"H:1"], *told] == one.told
    assert (text, 2) == (getattr(error_of(two), "data", None), session.strays)


def test_three_pipelined_submissions_get_handles_in_order() -> None:
    one, two, three = job(), Recorder(), job()
    session = session_of(one, two, three)

    receive(session, created(b"H:1"), created(b"H:2"), created(b"H:3"))

    assert [[[b"H:1"]], [[b"H:2"]], [[b"H:3"]]] == [one.told, two.told, three.told]


def test_results_are_matched_by_handle_not_by_order() -> None:
    one, two = job(), job()
    session = session_of(one, two)

    receive(session, created(b"H:1"), created(b"H:2"), complete(b"H:2", b"second"), complete(b"H:1", b"first"))

    assert [b"first", b"second"] == [one.told[-1], two.told[-1]]


def test_completion_in_the_same_batch_as_the_creation() -> None:
    one = job()

    receive(session_of(one), created(b"H:1"), complete(b"H:1", b"done"))

    assert [[b"H:1"], b"done"] == one.told


def test_each_type_of_reply_goes_to_the_head_of_the_queue() -> None:
    echo, status, unique, option = (
        Recorder(P.ECHO_RES),
        Recorder(P.STATUS_RES),
        Recorder(P.STATUS_RES_UNIQUE),
        Recorder(P.OPTION_RES),
    )
    session = session_of(echo, status, unique, option)

    receive(
        session,
        encode_response(P.ECHO_RES, b"\0e"),
        encode_response(P.STATUS_RES, b"H:1", b"1", b"0", b"3", b"4"),
        encode_response(P.STATUS_RES_UNIQUE, b"u", b"1", b"0", b"3", b"4", b"2"),
        encode_response(P.OPTION_RES, b"exceptions"),
    )

    assert [[b"\0e"]] == echo.told
    assert [[b"H:1", b"1", b"0", b"3", b"4"]] == status.told
    assert [[b"u", b"1", b"0", b"3", b"4", b"2"]] == unique.told
    assert [[b"exceptions"]] == option.told


def test_error_belongs_to_the_head_of_the_queue() -> None:
    one, two = job(), Recorder(P.ECHO_RES)
    session = session_of(one, two)

    receive(session, encode_response(P.ERROR, b"QUEUE_ERROR", b"Job queue is full"), encode_response(P.ECHO_RES, b"x"))

    error = error_of(one)
    assert isinstance(error, ServerError)
    assert ("QUEUE_ERROR", "Job queue is full") == (error.code, error.text)
    assert [[b"x"]] == two.told


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [(b"CODE\0text\0", "CODE", "text"), (b"CODE", "CODE", ""), (b"C\xff\0t", "C\\xff", "t"), (b"", "", "")],
)
def test_an_error_is_read_however_it_is_written(body: bytes, code: str, text: str) -> None:
    one = job()
    session_of(one).receive([(P.ERROR, body)])

    error = error_of(one)
    assert isinstance(error, ServerError)
    assert (code, text) == (error.code, error.text)


@pytest.mark.parametrize("tail", [b"", b"\0"])
def test_failure_with_and_without_a_trailing_nul(tail: bytes) -> None:
    one = job()
    session = session_of(one)

    session.receive([(P.JOB_CREATED, b"H:1"), (P.WORK_FAIL, b"H:1" + tail)])

    assert isinstance(error_of(one), JobFailed)
    assert (0, 0) == session.count_jobs()


def test_an_exception_is_final() -> None:
    one = job()
    session = session_of(one)

    receive(session, created(b"H:1"), encode_response(P.WORK_EXCEPTION, b"H:1", b"no\0pe"))
    receive(session, encode_response(P.WORK_FAIL, b"H:1"))

    error = error_of(one)
    assert isinstance(error, JobRaised)
    assert b"no\0pe" == error.data
    assert 2 == len(one.told)
    assert 1 == session.strays


def test_packets_of_unknown_jobs_are_passed_over() -> None:
    session = session_of()

    receive(session, data(b"H:9", b"x"), complete(b"H:9", b"x"))

    assert 2 == session.strays


def test_coalesced_copies_are_dealt_in_turn() -> None:
    one, two = job(), job()
    session = session_of(one, two)

    receive(session, created(b"H:1"), data(b"H:1", b"early"), created(b"H:1"))
    receive(session, data(b"H:1", b"a"), data(b"H:1", b"a"), data(b"H:1", b"b"), data(b"H:1", b"b"))
    receive(session, complete(b"H:1", b"end"), complete(b"H:1", b"end"))

    assert [[b"H:1"], (P.WORK_DATA, b"early"), (P.WORK_DATA, b"a"), (P.WORK_DATA, b"b"), b"end"] == one.told
    assert [[b"H:1"], (P.WORK_DATA, b"a"), (P.WORK_DATA, b"b"), b"end"] == two.told
    assert (0, 0) == session.count_jobs()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_abandoned_copy_keeps_its_place(which: int) -> None:
    jobs = [job(), job(), job()]
    session = session_of(*jobs)

    receive(session, created(b"H:1"), created(b"H:1"), created(b"H:1"), *[data(b"H:1", b"a")] * 3)
    jobs[which].abandoned = True
    receive(session, *[data(b"H:1", b"b")] * 3)
    assert (2, 1) == session.count_jobs()
    receive(session, *[complete(b"H:1", b"end")] * 3)

    everything = [[b"H:1"], (P.WORK_DATA, b"a"), (P.WORK_DATA, b"b"), b"end"]
    expected = [everything, everything, everything]
    expected[which] = everything[:2]
    assert expected == [one.told for one in jobs]
    assert (0, 0) == session.count_jobs()


def test_a_job_abandoned_before_its_handle_is_a_placeholder_from_the_start() -> None:
    one, two = job(), job()
    session = session_of(one, two)
    one.abandoned = True

    receive(session, created(b"H:1"), created(b"H:1"), data(b"H:1", b"a"), data(b"H:1", b"a"))
    receive(session, complete(b"H:1", b"end"), complete(b"H:1", b"end"))

    assert [] == one.told
    assert [[b"H:1"], (P.WORK_DATA, b"a"), b"end"] == two.told


def test_a_background_submission_gets_no_copies() -> None:
    front, back = job(), Recorder()
    session = session_of(front, back)

    receive(session, created(b"H:1"), created(b"H:1"), data(b"H:1", b"a"), complete(b"H:1", b"end"))

    assert [[b"H:1"], (P.WORK_DATA, b"a"), b"end"] == front.told
    assert [[b"H:1"]] == back.told


def test_the_reply_to_an_abandoned_request_is_dropped_and_the_next_is_right() -> None:
    one, two = Recorder(P.ECHO_RES), Recorder(P.ECHO_RES)
    session = session_of(one, two)
    one.abandoned = True

    receive(session, encode_response(P.ECHO_RES, b"1"), encode_response(P.ECHO_RES, b"2"))

    assert [] == one.told
    assert [[b"2"]] == two.told


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (P.ECHO_RES, b"x", "ECHO_RES came where JOB_CREATED or ERROR was expected"),
        (P.NOOP, b"", "NOOP came where JOB_CREATED"),
        (P.JOB_CREATED, b"H:1\0more", "JOB_CREATED takes 1 fields"),
        (4711, b"", "a packet of type 4711 came"),
    ],
)
def test_a_reply_that_cannot_be_matched(kind: int, body: bytes, message: str) -> None:
    one = job()
    session = session_of(one)

    with pytest.raises(RemoteProtocolError, match=message):
        session.receive([(kind, body)])

    session.lose("gibberish", 1)
    assert isinstance(error_of(one), JobLost)


@pytest.mark.parametrize(
    ("packet", "message"),
    [
        (created(b"H:1"), "JOB_CREATED came, but no request waits"),
        (encode_response(P.ERROR, b"BUSY", b"go away"), r"ERROR came.*BUSY: go away"),
    ],
)
def test_a_reply_without_a_request(packet: bytes, message: str) -> None:
    with pytest.raises(RemoteProtocolError, match=message):
        receive(session_of(), packet)


@given(
    st.lists(st.sampled_from([P.JOB_CREATED, P.ECHO_RES, P.STATUS_RES])),
    st.lists(st.tuples(st.sampled_from([*P, -1, 0, 5, 99]), st.sampled_from([b"", b"a", b"a\0", b"a\0b", b"\xff"]))),
)
def test_whatever_comes_each_request_ends_exactly_once(
    expected: list[PacketType], packets: list[tuple[int, bytes]]
) -> None:
    requests = [job() if kind == P.JOB_CREATED else Recorder(kind) for kind in expected]
    session = session_of(*requests)
    with suppress(RemoteProtocolError):
        session.receive(packets)
    session.lose("over", 0)

    assert [1] * len(requests) == [request.ends for request in requests]


def test_loss_ends_every_request_with_its_own_kind_of_error() -> None:
    running, sent, unsent, echo, gone = job(), job(), Recorder(), Recorder(P.ECHO_RES), job()
    session = session_of(running, sent, echo, unsent, gone)
    running.number, sent.number, echo.number, unsent.number, gone.number = 1, 2, 3, 4, 5
    gone.abandoned = True
    receive(session, created(b"H:1"))

    session.lose("cable cut", 3)

    errors = [error_of(request) for request in (running, sent, unsent)]
    assert [(b"H:1", True), (None, True), (None, False)] == [
        (error.handle, error.may_have_run) for error in errors if isinstance(error, JobLost)
    ]
    assert all("cable cut" in str(error) for error in errors)
    assert isinstance(error_of(echo), ServersUnavailable)
    assert "here:4730: cable cut" in str(error_of(echo))
    assert [] == gone.told
    assert (0, (0, 0)) == (session.pending_replies, session.count_jobs())
