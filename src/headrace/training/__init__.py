"""Training: examples become an adapter that the service can put on its model.

Read job.py (what is asked, and the folder that a job is), folder.py (reading it), trainer.py
(starting and ending the process), leftover.py (what stays of an ended job), worker.py (the
process), then what it does: data.py, tongue.py, render.py and prepare.py (from rows to tokens, and
what is learned of them), plan.py and memory.py (how, and whether it fits), process/ (PyTorch),
card.py (what is said of the result). ask.py and port.py compare results on two bases. Only process/
imports PyTorch, and only the worker imports it.
"""

from headrace.training.job import FineTune, Hyperparameters, Job, JobState, Result
from headrace.training.trainer import Trainer

__all__ = ["FineTune", "Hyperparameters", "Job", "JobState", "Result", "Trainer"]
