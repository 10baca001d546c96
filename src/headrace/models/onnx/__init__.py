"""Embeddings on this machine's CPU: an ONNX model and its tokenizer, without torch.

Read settings.py, session.py (texts to vectors), line.py (who is next), backend.py.
"""

from headrace.models.onnx.backend import OnnxBackend, OnnxSettings

__all__ = ["OnnxBackend", "OnnxSettings"]
