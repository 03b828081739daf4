from gearman import GearmanWorker

worker = GearmanWorker(["127.0.0.1:4730"])
worker.register_task(b"shout", lambda worker, job: job.data.upper())
worker.work()
