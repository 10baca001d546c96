"""Names and order of weights: PyTorch's on one side, GGUF's on the other.

llama.cpp turns neighbouring pairs of a head's numbers in llama-type models, transformers turns the
first half with the second; so the rows of `q_proj` and `k_proj` stand in another order in the file.

Source: llama.cpp, `convert_hf_to_gguf.py`, `LlamaModel.permute`.
"""

from functools import cache
from typing import TYPE_CHECKING

from headrace.training.errors import TrainingInvalid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["architecture_of", "gguf_name", "permuted", "unpermuted"]

_PERMUTED = frozenset({"llama"})
_ARCHITECTURES = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "phi3": "phi3",
    "smollm3": "smollm3",
}
"""transformers' `model_type` to GGUF's architecture."""


def architecture_of(model_type: str) -> str | None:
    """GGUF's name of an architecture; None where it is unknown here."""
    return _ARCHITECTURES.get(model_type)


@cache
def _name_map(architecture: str, layers: int) -> object:
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    for arch, name in MODEL_ARCH_NAMES.items():
        if name == architecture:
            return get_tensor_name_map(arch, layers)
    raise TrainingInvalid(f"GGUF has no architecture {architecture!r}")


def gguf_name(architecture: str, layers: int, name: str) -> str:
    """GGUF's name of a weight, such as `blk.0.attn_q.weight`.

    Raises:
        TrainingInvalid: it has none.
    """
    found = _name_map(architecture, layers).get_name(  # type: ignore[attr-defined]  # no types
        name, try_suffixes=(".weight", ".bias")
    )
    if found is None:
        raise TrainingInvalid(f"{architecture} has no tensor for {name!r}")
    return str(found)


def permuted(
    architecture: str, name: str, rows: "NDArray[np.float32]", heads: int, kv_heads: int
) -> "NDArray[np.float32]":
    """Rows as the GGUF file has them: of a weight, or of the `B` of its LoRA."""
    count = _heads(architecture, name, heads, kv_heads)
    if count is None:
        return rows
    half = rows.shape[0] // count // 2
    return rows.reshape(count, 2, half, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def unpermuted(
    architecture: str, name: str, rows: "NDArray[np.float32]", heads: int, kv_heads: int
) -> "NDArray[np.float32]":
    """Rows as transformers has them."""
    count = _heads(architecture, name, heads, kv_heads)
    if count is None:
        return rows
    half = rows.shape[0] // count // 2
    return rows.reshape(count, half, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _heads(architecture: str, name: str, heads: int, kv_heads: int) -> int | None:
    if architecture not in _PERMUTED:
        return None
    if ".q_proj." in name:
        return heads
    return kv_heads if ".k_proj." in name else None
