"""A serializer of your own, for one function or for all; values that do not fit raise before anything is sent.

Try: give all of `abilities` the serializer instead; call `total` with a number that is too large for it.
"""

import struct
from typing import Any

import trio

import gearman_trio


class Numbers:
    """Numbers as doubles, one after the other."""

    structured = False

    def __repr__(self) -> str:
        return "Numbers()"

    def dumps(self, value: Any) -> bytes:
        numbers = value if isinstance(value, list) else [value]
        return struct.pack(f"!{len(numbers)}d", *numbers)

    def loads(self, data: bytes) -> Any:
        numbers = [number for (number,) in struct.iter_unpack("!d", data)]
        return numbers[0] if len(numbers) == 1 else numbers


abilities = gearman_trio.Abilities(serializer=gearman_trio.TEXT)


@abilities.function(serializer=Numbers())
async def total(numbers: list[float]) -> float:
    return sum(numbers)


@abilities.function
async def shout(text: str) -> str:
    return text.upper()


async def main() -> None:
    async with (
        gearman_trio.open_server(port=0) as server,
        gearman_trio.open_client(server.url) as client,
    ):
        try:
            await client.run(total, ["one", "two"])  # type: ignore[call-overload] # which a type checker sees
        except gearman_trio.SerializationError as exc:
            print("not sent:", exc)
        print("connected:", client.statistics().connected)
        async with gearman_trio.open_worker(abilities, server.url):
            print(await client.run(total, [1.5, 2.5]), await client.run(shout, "as text"))


trio.run(main)
