"""What happens in the process that trains: the only modules that import PyTorch.

Read session.py (from a job's folder to its result), load.py (the base's weights), task.py, batch.py
and loss.py (what is minimised), loop.py (the steps), checkpoint.py, export.py (GGUF files).
"""
