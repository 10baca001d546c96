"""Training: examples become an adapter that the service can put on its model.

Read job.py (what is asked, and the folder that a job is), folder.py (reading it), trainer.py
(starting and ending the process), then what happens in the process, worker.py: data.py and
render.py (from rows to tokens and what is learned of them), estimate.py (does it fit), base.py
(the weights), supervised.py and preference.py (the two methods), export.py and card.py (what
comes out). Only the worker's process imports PyTorch.
"""

from headrace.training.job import FineTune, Hyperparameters, Job, JobState, Result
from headrace.training.trainer import Trainer

__all__ = ["FineTune", "Hyperparameters", "Job", "JobState", "Result", "Trainer"]
