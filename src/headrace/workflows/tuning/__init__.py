"""Fine-tuning jobs: examples a client uploaded become a model with a name of its own.

Read job.py (what a job is, in OpenAI's words), request.py (what may be asked), store.py (where jobs
are kept), runner.py (who brings them to their end, whatever is killed), event.py (what they tell).
The training itself is the room `training`'s.
"""

from headrace.workflows.tuning.job import TuningJob
from headrace.workflows.tuning.runner import TuningRunner
from headrace.workflows.tuning.store import TuningStore

__all__ = ["TuningJob", "TuningRunner", "TuningStore"]
