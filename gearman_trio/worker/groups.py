"""Which functions of a worker share a connection to each server.

A server gives a worker whatever waits for any of the functions that its connection is registered for.  A function that
may have only so many jobs at once cannot be withdrawn for the time that it has them: CANT_DO makes gearmand queue the
jobs that run on that connection again (gearmand 1.1.20, worker.cc), which would run them twice.  So such a function has
a connection of its own to each server, on which nothing is asked for while it has all jobs that it may have.  The
others share one.

That costs a server one more connection and one more sleeper, which it wakes for jobs of that function alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from ..names import FunctionName
from .ability import Ability
from .grabbing import Quota

__all__ = ["Group", "groups_of"]


@attrs.frozen(eq=False)
class Group:
    """The functions of one connection to each server.

    Attributes:
        abilities: by the names that the server calls them.
        quota: how many of their jobs may run at once, over all servers; ``None`` means as many as the worker may run.
    """

    abilities: Mapping[FunctionName, Ability]
    quota: Quota | None = None


def groups_of(abilities: Mapping[FunctionName, Ability], concurrency: int) -> list[Group]:
    """Share the functions out; one whose limit the worker's ``concurrency`` keeps anyhow needs nothing of its own."""
    shared: dict[FunctionName, Ability] = {}
    groups = []
    for name, ability in abilities.items():
        if ability.max_running is None or ability.max_running >= concurrency:
            shared[name] = ability
        else:
            groups.append(Group({name: ability}, Quota(ability.max_running)))
    return [Group(shared), *groups] if shared else groups
