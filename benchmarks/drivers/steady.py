"""Background jobs at a steady rate until it is stopped: ``python -m benchmarks.drivers.steady HOST PORT RATE``.

A hundredth of a second's jobs go out together; answers are read and not looked at. Who is late does not catch up.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

from gearman_trio.protocol import PacketType, encode_request

__all__ = ["TICKS"]

#: How many times a second.
TICKS = 100


def main(host: str, port: int, rate: int) -> None:
    """Submit `rate` jobs a second of the function ``steady``."""
    with socket.create_connection((host, port)) as connection:
        threading.Thread(target=_read, args=(connection,), daemon=True).start()
        jobs = encode_request(PacketType.SUBMIT_JOB_BG, b"steady", b"", b"w" * 32) * (rate // TICKS)
        while True:
            connection.sendall(jobs)
            time.sleep(1 / TICKS)


def _read(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
