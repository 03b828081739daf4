"""The naive model of a broker that stores its background jobs: what waits for which batch, and what is stored.

An answer that waits is a mark in `ModelPeer.heard`; what stands behind the first mark has not been heard yet.
"""

from __future__ import annotations

from attrs import define, field

from .model import ModelBroker
from .records import SUBMISSIONS, ModelJob, ModelPeer, Reply

__all__ = ["DurableModelBroker"]

_WAITS = "waits"


@define(kw_only=True)
class DurableModelBroker(ModelBroker):
    """The broker; whoever drives it is its store.

    Attributes:
        batch: the number of the batch that is being filled.
        refusing: whether jobs cannot be stored at present.
    """

    batch: int = 1
    refusing: bool = False
    _marks: dict[Reply, tuple[ModelJob, int]] = field(factory=dict)

    def submit(
        self, client: ModelPeer, packet: str, function: bytes, unique: bytes, workload: bytes, **more: object
    ) -> None:
        """As in a broker without a store, but that background jobs, and answers that tell of them, wait."""
        background = SUBMISSIONS[packet][1]
        known = bool(function) and len(unique) <= 64
        job = self._find_same(function, unique, workload) if known else None
        if known and background and self.refusing and not (job is not None and (job.stored or job.commit)):
            client.heard.append(("ERROR", b"QUEUE_ERROR"))
            return
        live = list(self.jobs)
        super().submit(client, packet, function, unique, workload, **more)
        created = [each for each in self.jobs if each not in live]
        job = created[0] if created else job
        if client.heard[-1][0] != "JOB_CREATED" or job is None:
            return
        if background and not job.stored and not job.commit:
            job.commit = self.batch
            job.stored = True
        if job.commit and (background or job.state == "committing"):
            self._wait(client, job)

    def drop_function(self, function: bytes) -> bool:
        """``drop function``: jobs that wait to be stored keep it."""
        return not any(job.function == function for job in self.jobs) and super().drop_function(function)

    def take(self) -> None:
        """The batch has been taken to be stored; the next one begins."""
        self.batch += 1

    def committed(self, number: int) -> None:
        """Every batch up to this one is stored."""
        self.refusing = False
        for each in range(1, number + 1):
            self._answer(each)
            for job in [job for job in self.jobs if job.commit == each]:
                job.commit = 0
                if job.state == "committing":
                    super()._place(job, job.run_at)

    def refuse(self) -> None:
        """Nothing is being stored."""
        self.refusing = True
        waiting = [job for job in self.jobs if job.commit]
        for peer in self.peers:
            for index, reply in enumerate(peer.heard):
                if reply[0] == _WAITS:
                    job, _ = self._marks.pop(reply)
                    refused = job in self.jobs and job.commit
                    peer.heard[index] = ("ERROR", b"QUEUE_ERROR") if refused else ("JOB_CREATED", job.handle)
        for job in waiting:
            job.commit = 0
            job.stored = False
            if job.state == "committing":
                self.jobs.remove(job)
                continue
            job.background = False
            if not job.clients and job.state == "queued":
                self.jobs.remove(job)

    def take_heard(self, peer: ModelPeer) -> list[Reply]:
        """What a peer has been sent since the last look."""
        count = next((index for index, reply in enumerate(peer.heard) if reply[0] == _WAITS), len(peer.heard))
        heard = peer.heard[:count]
        del peer.heard[:count]
        return heard

    def holds(self, peer: ModelPeer) -> bool:
        """Whether an answer to this peer waits, and all behind it."""
        return any(reply[0] == _WAITS for reply in peer.heard)

    def _place(self, job: ModelJob, run_at: float) -> None:
        # A new job: it waits to be stored where it is a background job.
        if job.background:
            job.run_at = run_at
            self._put(job, "committing")
        else:
            super()._place(job, run_at)

    def _wait(self, client: ModelPeer, job: ModelJob) -> None:
        mark: Reply = (_WAITS, b"%d" % next(self._places))
        self._marks[mark] = (job, job.commit)
        client.heard[-1] = mark

    def _answer(self, number: int) -> None:
        for peer in self.peers:
            for index, reply in enumerate(peer.heard):
                if reply[0] == _WAITS and self._marks[reply][1] == number:
                    peer.heard[index] = ("JOB_CREATED", self._marks.pop(reply)[0].handle)
