"""The wire, without input or output: packets to bytes and bytes to packets, at any split of the stream."""

from __future__ import annotations

from .codec import MAX_PACKET_BYTES, TEXT, WRONG_MAGIC, Decoder, encode_request, encode_response, split_arguments
from .table import PACKETS, PacketSpec, PacketType, Sender

__all__ = [
    "MAX_PACKET_BYTES",
    "PACKETS",
    "TEXT",
    "WRONG_MAGIC",
    "Decoder",
    "PacketSpec",
    "PacketType",
    "Sender",
    "encode_request",
    "encode_response",
    "split_arguments",
]
