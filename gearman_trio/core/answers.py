"""Packets that are answered at once and change no job: about the connection itself, and how a job does."""

from __future__ import annotations

from typing import Final

from ..protocol.codec import response_prefix
from ..protocol.table import PacketType
from .peer import Peer
from .registry import Registry
from .replies import read_fields, send_error, send_packet

__all__ = ["Answers"]

_ECHO_RES: Final = response_prefix(PacketType.ECHO_RES)
_OPTION_RES: Final = response_prefix(PacketType.OPTION_RES)
_STATUS_RES: Final = response_prefix(PacketType.STATUS_RES)
_STATUS_RES_UNIQUE: Final = response_prefix(PacketType.STATUS_RES_UNIQUE)


class Answers:
    """Handles ECHO_REQ, OPTION_REQ, SET_CLIENT_ID, ALL_YOURS, GET_STATUS and GET_STATUS_UNIQUE."""

    __slots__ = ("_policy", "_registry")

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._policy = registry.policy

    def echo(self, peer: Peer, kind: int, body: bytes, now: float) -> None:
        """ECHO_REQ."""
        send_packet(peer, _ECHO_RES, body)

    def option(self, peer: Peer, kind: int, body: bytes, now: float) -> None:
        """OPTION_REQ; ``exceptions`` is the only option there is."""
        fields = read_fields(peer, kind, body)
        if fields is None:
            return
        if fields[0].lower() == b"exceptions":
            peer.exceptions = True
            send_packet(peer, _OPTION_RES, fields[0])
        else:
            send_error(peer, "UNKNOWN_OPTION", "Server does not recognize given option")

    def set_client_id(self, peer: Peer, kind: int, body: bytes, now: float) -> None:
        """SET_CLIENT_ID."""
        fields = read_fields(peer, kind, body)
        if fields is None:
            return
        if len(fields[0]) > self._policy.max_client_id_bytes:
            send_error(peer, "ARGUMENT_TOO_LARGE", f"client ID: at most {self._policy.max_client_id_bytes} bytes")
        else:
            peer.client_id = fields[0]

    def all_yours(self, peer: Peer, kind: int, body: bytes, now: float) -> None:
        """ALL_YOURS tells the server that the worker has no other server; there is nothing to do or to answer."""
        read_fields(peer, kind, body)

    def get_status(self, peer: Peer, kind: int, body: bytes, now: float) -> None:
        """GET_STATUS."""
        fields = read_fields(peer, kind, body)
        if fields is None:
            return
        handle = fields[0]
        if len(handle) > self._policy.max_handle_bytes:
            send_error(peer, "ARGUMENT_TOO_LARGE", f"handle: at most {self._policy.max_handle_bytes} bytes")
            return
        job = self._registry.jobs.get(handle)
        if job is None:
            fields = [handle, b"0", b"0", b"0", b"0"]
        else:
            fields = [handle, b"1", b"0" if job.worker is None else b"1", job.numerator, job.denominator]
        send_packet(peer, _STATUS_RES, b"\0".join(fields))

    def get_status_unique(self, peer: Peer, kind: int, body: bytes, now: float) -> None:
        """GET_STATUS_UNIQUE."""
        fields = read_fields(peer, kind, body)
        if fields is None:
            return
        unique = fields[0]
        if len(unique) > self._policy.max_unique_bytes:
            send_error(peer, "ARGUMENT_TOO_LARGE", "Unique value too large")
            return
        job = self._registry.find_unique(unique)
        if job is None:
            fields = [unique, b"0", b"0", b"0", b"0", b"0"]
        else:
            running = b"0" if job.worker is None else b"1"
            fields = [unique, b"1", running, job.numerator, job.denominator, b"%d" % len(job.clients)]
        send_packet(peer, _STATUS_RES_UNIQUE, b"\0".join(fields))
