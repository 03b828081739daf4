"""A complete Gearman system on Trio: job server, client, worker and tools."""
