"""When a worker asks which job server for a job.

Rule 1: a worker has as many slots as it may run jobs at once, shared by all its servers.  A slot is taken
before GRAB_JOB_UNIQ is sent, goes over to the job that is assigned, and comes back at NO_JOB, at the job's
end, or with the end of the connection. So a job that is assigned can always begin at once.

Rule 2: each connection has a window: so many GRAB_JOB_UNIQ may be unanswered on it at a time.  It is 1 when the
server was asleep, grows by 1 with each job that is assigned, and goes back to 1 with NO_JOB.  So a server that has
many jobs soon fills all free slots with one packet of the network, and one that has few is not asked in vain by
every slot of every worker.  Servers answer in order (PROTOCOL says nothing; gearmand 1.1.20 and ours do).

Rule 3: servers that may have a job wait for a slot in one line.  Who was given one goes to the end of the line, so
servers share the slots in turn.

Rule 4: after NO_JOB the server is asked nothing further; when all that was asked is answered, the worker sends
PRE_SLEEP once, and waits for NOOP.  A job that came between the two is not missed: the server answers PRE_SLEEP
with NOOP at once if it has one (gearmand 1.1.20, GEARMAN_COMMAND_PRE_SLEEP in server.cc).

Rule 5: where no slot is free, nobody is sent GRAB_JOB_UNIQ or PRE_SLEEP, for a worker that sleeps while it is
busy takes the wake-ups that an idle one could serve.

Rule 6: a seat may have a quota besides, which it shares with the seats of the same function at the other servers.
What is asked there takes one of the quota and a slot.  While nothing is left of the quota, the seat stands aside, so
that the others have the slots, and it is treated as rule 5 says; then it goes to the end of the line.

Where GRAB_JOB_UNIQ stands here, a worker with partitions sends GRAB_JOB_ALL.

Nothing here waits or knows the time; what is to be sent goes to the callable that each seat was opened with.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from ..errors import RemoteProtocolError
from ..protocol import PacketType

__all__ = ["Phase", "Quota", "Seat", "Slots"]


class Phase(Enum):
    """What one server said last, as far as grabbing goes."""

    #: It may have a job; unless its window is full or the worker drains, it stands in the line for a slot, or aside.
    HUNGRY = "hungry"
    #: It had no job for one of several GRAB_JOB_UNIQ, of which others are unanswered.
    EMPTY = "empty"
    #: It had no job, and will say NOOP.
    ASLEEP = "asleep"
    #: It takes no part: it does not know the worker's abilities yet, or it is to be asked nothing more.
    OUTSIDE = "outside"


class Quota:
    """How many jobs there may be at once of what some seats ask for.

    Attributes:
        free: how many more there may be.
        aside: the seats that wait for one, in the order in which they came.
    """

    __slots__ = ("aside", "free")

    def __init__(self, size: int) -> None:
        #: Invariant: free + unanswered grabs of its seats + jobs that run = size.
        self.free = size
        # Invariant: empty while any is free.
        self.aside: dict[Seat, None] = {}


class Slots:
    """The slots of one worker, and the line of servers that wait for one.

    The mutable state is the number of free slots, the line, and whether the worker drains.
    """

    def __init__(self, concurrency: int) -> None:
        #: Invariant: free + unanswered grabs of all seats + jobs that run = concurrency.
        self.free = concurrency
        self.draining = False
        # Invariant: holds each seat that is HUNGRY and has room in its window once, in the order of their turns,
        # but for those that stand aside; empty while draining.
        self._line: dict[Seat, None] = {}

    def job_ended(self, quota: Quota | None = None) -> None:
        """Take back the slot of a job that was assigned, and its part of a quota; give it to whose turn it is."""
        self._give_back(quota)

    def drain(self) -> None:
        """Ask nobody for a job any more; jobs that were asked for may still come."""
        self.draining = True
        self._line.clear()

    def _stand_in_line(self, seat: Seat) -> None:
        seat.phase = Phase.HUNGRY
        if not self.draining:
            if seat.quota is not None:
                seat.quota.aside.pop(seat, None)
            self._line[seat] = None
            self._serve()

    def _leave_line(self, seat: Seat) -> None:
        self._line.pop(seat, None)
        if seat.quota is not None:
            seat.quota.aside.pop(seat, None)

    def _give_back(self, quota: Quota | None) -> None:
        self.free += 1
        if quota is not None:
            quota.free += 1
            if quota.aside:
                if not self.draining:
                    self._line.update(quota.aside)
                quota.aside.clear()
        if self._line:
            self._serve()

    def _serve(self) -> None:
        line = self._line
        while self.free and line:
            seat = next(iter(line))
            del line[seat]
            if seat.quota is not None:
                if not seat.quota.free:
                    seat.quota.aside[seat] = None
                    continue
                seat.quota.free -= 1
            self.free -= 1
            seat.grabs += 1
            if seat.grabs < seat.window:
                line[seat] = None
            seat.send(PacketType.GRAB_JOB_UNIQ)


class Seat:
    """One server's place at the slots, for as long as one connection lasts; each method is an event on it.

    Attributes:
        phase: what the server said last.
        grabs: how many GRAB_JOB_UNIQ are unanswered; a slot is kept for each answer.
        window: how many may be.
        quota: what each of them takes one of, besides a slot.
    """

    __slots__ = ("_slots", "grabs", "phase", "quota", "send", "window")

    def __init__(self, slots: Slots, send: Callable[[PacketType], None], quota: Quota | None = None) -> None:
        """Make a seat that takes no part yet.

        Args:
            slots: what the worker's connections share.
            send: called with GRAB_JOB_UNIQ or PRE_SLEEP when it is time to send one; it must not wait.
            quota: limits what is asked here.
        """
        self._slots = slots
        self.send = send
        self.quota = quota
        self.phase = Phase.OUTSIDE
        self.grabs = 0
        self.window = 1

    def open(self) -> None:
        """The server knows the worker's abilities; it is asked for a job as soon as its turn comes."""
        self._slots._stand_in_line(self)

    def assigned(self) -> None:
        """A job came; the slot that was kept for it is the job's now, until `Slots.job_ended`.

        Raises:
            RemoteProtocolError: none was asked for, so there may be no slot for it.
        """
        if not self.grabs:
            raise RemoteProtocolError(f"a job was assigned that nobody grabbed (the connection is {self.phase.value})")
        self.grabs -= 1
        if self.phase is not Phase.OUTSIDE:
            self.window += 1
            self._slots._stand_in_line(self)

    def no_job(self) -> None:
        """The server has no job.

        Raises:
            RemoteProtocolError: it was not asked.
        """
        if not self.grabs:
            raise RemoteProtocolError(f"NO_JOB without GRAB_JOB_UNIQ (the connection is {self.phase.value})")
        self.grabs -= 1
        self.window = 1
        if self.phase is not Phase.OUTSIDE and not self._slots.draining:
            self._slots._leave_line(self)
            if self.grabs:
                self.phase = Phase.EMPTY
            else:
                self.phase = Phase.ASLEEP
                self.send(PacketType.PRE_SLEEP)
        self._slots._give_back(self.quota)

    def noop(self) -> None:
        """The server may have a job.

        Only a sleeper heeds it.  While a grab is unanswered, the NOOP is older than the answer, which knows
        what the NOOP announced.  A server that stands in line is asked anyhow.
        """
        self.poll()

    def poll(self) -> None:
        """Ask a server that sleeps, though it said nothing: its NOOP may have been lost."""
        if self.phase is Phase.ASLEEP:
            self._slots._stand_in_line(self)

    def leave(self) -> None:
        """Ask the server for nothing more; jobs that were asked for may still come."""
        self.phase = Phase.OUTSIDE
        self._slots._leave_line(self)

    def close(self) -> None:
        """The connection ended. Jobs that came over it keep their slots until they end."""
        self.leave()
        while self.grabs:
            self.grabs -= 1
            self._slots._give_back(self.quota)
