"""Batches: a file of requests, answered beside live traffic, one result a row, in order.

Read job.py (what a batch is), store.py (where it is kept), request.py (its rows), log.py (results
as they come, safe from any kill), runner.py (who answers them).
"""

from headrace.workflows.batch.job import Batch
from headrace.workflows.batch.runner import BatchRunner
from headrace.workflows.batch.store import BatchStore

__all__ = ["Batch", "BatchRunner", "BatchStore"]
