"""What all sentence encoders on this machine share: files, cutting, batches, whose turn it is.

Read encoder.py (texts to vectors), line.py (who is next), backend.py. The encoders themselves are
in `models/onnx/` and `models/universal/`.
"""

from headrace.models.encoder.backend import EncoderBackend
from headrace.models.encoder.encoder import Encoder, Tokens

__all__ = ["Encoder", "EncoderBackend", "Tokens"]
