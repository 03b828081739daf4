"""A client of pygearman, driven by JSON lines; tests/interop/clients.py tells what they mean."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from typing import Any

from gearman import PRIORITY_HIGH, PRIORITY_LOW, PRIORITY_NONE, GearmanAdminClient, GearmanClient
from gearman.constants import JOB_COMPLETE, JOB_FAILED

SERVERS = [f"127.0.0.1:{sys.argv[1]}"]
PRIORITIES = {"high": PRIORITY_HIGH, "normal": PRIORITY_NONE, "low": PRIORITY_LOW}
ENDS = {JOB_COMPLETE: "complete", JOB_FAILED: "fail"}

client = GearmanClient(SERVERS)
admin = GearmanAdminClient(SERVERS)
submitted: dict[str, Any] = {}


def shown(data: bytes) -> str:
    if len(data) > 1024:
        data = f"sha256 {hashlib.sha256(data).hexdigest()} of {len(data)}".encode()
    return base64.b64encode(data).decode()


def workload(text: str) -> bytes:
    if text.startswith("@"):
        size = int(text[1:])
        return (bytes(range(256)) * (size // 256 + 1))[:size]
    return base64.b64decode(text)


def request(job: dict[str, str]) -> dict[str, Any]:
    return {
        "task": job["function"],
        "data": workload(job["workload"]),
        "unique": job["unique"],
        "priority": PRIORITIES[job["priority"]],
    }


def outcome(done: Any) -> dict[str, Any]:
    return {
        "data": [shown(data) for data in done.data_updates],
        "warnings": [shown(data) for data in done.warning_updates],
        "progress": [done.status["numerator"], done.status["denominator"]] if done.status else None,
        "end": ENDS.get(done.state, done.state),
        "result": shown(done.result or b""),
    }


def take(step: dict[str, Any]) -> Any:
    match step["do"]:
        case "run":
            jobs = [request(job) for job in step["jobs"]]
            return [outcome(done) for done in client.submit_multiple_jobs(jobs, poll_timeout=60.0)]
        case "submit":
            (job,) = step["jobs"]
            (done,) = client.submit_multiple_jobs([request(job)], background=True, poll_timeout=60.0)
            handle = done.job.handle.decode()
            submitted[handle] = done
            return handle
        case "status":
            status = client.get_job_status(submitted[step["handle"]], poll_timeout=60.0).status
            return [int(status[key]) for key in ("known", "running", "numerator", "denominator")]
        case "admin":
            return getattr(admin, step["call"])(*step["arguments"])


for line in sys.stdin:
    sys.stdout.write(json.dumps(take(json.loads(line))) + "\n")
    sys.stdout.flush()
