"""A program that was written for python-gearman or pygearman: only its imports are others.

Try: take `gearman` and `gearman.constants` of pygearman, and a job server that is there already.
"""

import json
import threading
from queue import SimpleQueue
from typing import Any

import trio

from gearman_trio import open_server
from gearman_trio.compat import gearman
from gearman_trio.compat.gearman.constants import JOB_COMPLETE, PRIORITY_HIGH

started, stop, idle = SimpleQueue[str](), threading.Event(), threading.Event()


async def serve() -> None:
    async with open_server(port=0) as server:
        started.put(str(server.addresses[0]))
        await trio.to_thread.run_sync(stop.wait)


class JSONEncoder(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object: Any) -> bytes:
        return json.dumps(encodable_object).encode()

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        return json.loads(decodable_string)


class Worker(gearman.GearmanWorker):
    data_encoder = JSONEncoder

    def after_poll(self, any_activity: Any) -> bool:
        return not idle.is_set()


class Client(gearman.GearmanClient):
    data_encoder = JSONEncoder


threading.Thread(target=trio.run, args=(serve,)).start()
address = started.get()
worker, client = Worker([address]), Client([address])
worker.register_task("add", lambda worker, job: sum(job.data))
thread = threading.Thread(target=worker.work, kwargs={"poll_timeout": 0.2})
thread.start()
one = client.submit_job("add", [1, 2], priority=PRIORITY_HIGH)
print(one.result, one.state == JOB_COMPLETE)
jobs = [{"task": "add", "data": [number, number]} for number in range(3)]
print([request.result for request in client.submit_multiple_jobs(jobs, poll_timeout=10)])
print(sorted(row["task"] for row in gearman.GearmanAdminClient([address]).get_status()))
idle.set()
thread.join()
stop.set()
