"""What clients, workers and administrative clients have in common: their job servers, and how data is encoded."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

from ...errors import ConfigError
from ...names import function_name, unique_id
from ...transport import parse_address
from .connection import GearmanConnection
from .errors import GearmanError, ProtocolError
from .job import GearmanJob

__all__ = ["DataEncoder", "GearmanConnectionManager", "NoopEncoder"]

_log = logging.getLogger(__name__)

_Name = TypeVar("_Name")


class DataEncoder:
    """How Python objects become bytes and come back; subclasses define both methods.

    What is not defined raises NotImplementedError when it is used, as in pygearman: an encoder for one way will do.
    """

    @classmethod
    def encode(cls, encodable_object: Any) -> Any:
        """Bytes, or a ``str`` that is sent as UTF-8, for an object."""
        raise NotImplementedError(f"{cls.__name__} only decodes: it defines no encode")

    @classmethod
    def decode(cls, decodable_string: Any) -> Any:
        """An object for bytes."""
        raise NotImplementedError(f"{cls.__name__} only encodes: it defines no decode")


class NoopEncoder(DataEncoder):
    """Bytes stay bytes; a ``str`` is sent as UTF-8."""

    @classmethod
    def encode(cls, encodable_object: Any) -> Any:
        """The same. Raises `TypeError` if it is neither bytes nor ``str``."""
        if not isinstance(encodable_object, bytes | str):
            raise TypeError(f"expected bytes or str, got {type(encodable_object).__name__}; set a data_encoder for it")
        return encodable_object

    @classmethod
    def decode(cls, decodable_string: Any) -> Any:
        """The same."""
        return decodable_string


class GearmanConnectionManager(ABC):
    """The base of clients, workers and administrative clients; none of them connects before it must.

    Attributes:
        data_encoder: encodes and decodes all data; set it in a subclass.
        job_class: makes the jobs.
        connection_class: makes the connections.
        connection_list: the job servers.
    """

    data_encoder: ClassVar[Any] = NoopEncoder
    job_class: ClassVar[type[GearmanJob]] = GearmanJob
    connection_class: ClassVar[type[GearmanConnection]] = GearmanConnection

    def __init__(self, host_list: Iterable[str | tuple[str, int] | dict[str, Any]] | None = None) -> None:
        """Take the job servers.

        Args:
            host_list: each as ``"host"``, ``"host:port"``, ``(host, port)`` or, for TLS, a dictionary with ``host``,
                ``port``, ``keyfile``, ``certfile`` and ``ca_certs``.

        Raises:
            GearmanError: an entry is something else.
        """
        self.connection_list: list[GearmanConnection] = []
        for element in host_list or []:
            if isinstance(element, str | tuple):
                self.add_connection(element)
            elif isinstance(element, dict):
                self._add_from_dictionary(element)
            else:
                raise GearmanError(f"expected a str, a tuple or a dict for a job server, got {element!r}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} connection_list={self.connection_list!r}>"

    def add_connection(self, hostport_tuple: str | tuple[str, int]) -> GearmanConnection:
        """Add a job server, to be used from the next call on."""
        if isinstance(hostport_tuple, str):
            address = parse_address(hostport_tuple)
            hostport_tuple = (address.host, address.port)
        host, port = hostport_tuple
        connection = self.connection_class(host=host, port=int(port))
        self.connection_list.append(connection)
        return connection

    def add_ssl_connection(self, host: str, port: int, keyfile: str, certfile: str, ca_certs: str) -> GearmanConnection:
        """Add a job server that is spoken to over TLS."""
        connection = self.connection_class(host=host, port=port, keyfile=keyfile, certfile=certfile, ca_certs=ca_certs)
        self.connection_list.append(connection)
        return connection

    @abstractmethod
    def shutdown(self) -> None:
        """Close every connection; the next call makes them again."""

    def on_gearman_error(self, error_code: str, error_text: str) -> bool:
        """Called when a job server answered ERROR; logs it. The result means nothing."""
        _log.error("the job server answered ERROR %s: %s", error_code, error_text)
        return False

    def _add_from_dictionary(self, element: dict[str, Any]) -> None:
        keys = ("host", "port", "keyfile", "certfile", "ca_certs")
        missing = [key for key in keys if key not in element]
        if missing:
            raise GearmanError(f"a job server as a dict needs {', '.join(keys)}; {', '.join(missing)} is missing")
        self.add_ssl_connection(**{key: element[key] for key in keys})

    def _encode(self, data: Any) -> bytes:
        encoded = self.data_encoder.encode(data)
        if isinstance(encoded, str):
            encoded = encoded.encode("utf-8")
        if not isinstance(encoded, bytes):
            raise ProtocolError(
                f"{getattr(self.data_encoder, '__name__', 'data_encoder')}.encode gave "
                f"{type(encoded).__name__}, expected bytes or str"
            )
        return encoded

    def _decode(self, data: bytes) -> Any:
        return self.data_encoder.decode(data)


def checked(check: Callable[[Any], _Name], value: Any) -> _Name:
    """A name as it goes over the wire, with the error of this interface if it cannot."""
    try:
        return check(value)
    except ConfigError as exc:
        raise ProtocolError(str(exc)) from exc


def task_name(task: Any) -> bytes:
    """The name of a task on the wire. Raises `ProtocolError`."""
    return checked(function_name, task)


def unique_name(unique: Any) -> bytes:
    """A unique ID on the wire. Raises `ProtocolError`."""
    return checked(unique_id, unique)
