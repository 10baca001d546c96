"""Workflows: work that outlives the process that runs it. So far: batches of requests (batch/)."""
