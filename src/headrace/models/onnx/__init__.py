"""Embeddings on this machine's CPU: an ONNX model and its tokenizer, without torch.

Read settings.py, session.py (texts to vectors), backend.py; what it shares with other encoders is
in `models/encoder/`.
"""

from headrace.models.onnx.backend import OnnxBackend, OnnxSettings

__all__ = ["OnnxBackend", "OnnxSettings"]
