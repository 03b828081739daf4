"""Which settings of a Redis server make it keep less than it should."""

from __future__ import annotations

from .store import Durability

__all__ = ["doubts"]


def doubts(settings: dict[str, str] | None, durability: Durability) -> list[str]:
    """What is wrong with a server's settings, a sentence each."""
    if settings is None:
        return [
            f"its settings cannot be seen; for durability {durability} "
            "see that appendonly, appendfsync and maxmemory-policy are as they must be"
        ]
    found = []
    if durability is not Durability.OFF and settings["appendonly"] != "yes":
        found.append(
            f"durability is {durability}, but appendonly is {settings['appendonly']}: "
            "jobs may be lost when Redis ends; expected yes"
        )
    elif durability is Durability.FULL and settings["appendfsync"] != "always":
        found.append(
            f"durability is full, but appendfsync is {settings['appendfsync']}: "
            "the last jobs may be lost in a power cut; expected always"
        )
    if settings["maxmemory"] != "0" and settings["maxmemory-policy"] != "noeviction":
        found.append(
            f"maxmemory-policy is {settings['maxmemory-policy']}: "
            "Redis throws jobs away when its memory is full; expected noeviction"
        )
    return found
