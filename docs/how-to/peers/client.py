from gearman import GearmanClient

client = GearmanClient(["127.0.0.1:4730"])
print(client.submit_job("reverse", b"!dlrow olleH", poll_timeout=10.0).result)
