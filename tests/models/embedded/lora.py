"""Real LoRA adapters for SmolLM2-135M, made of random numbers: quick to make, plain to tell apart."""

from pathlib import Path

import numpy as np
import pytest

__all__ = ["write_adapter"]

HIDDEN, INNER, LAYERS = 576, 1536, range(4)


def write_adapter(
    path: Path, seed: int, *, architecture: str = "llama", hidden: int = HIDDEN, rank: int = 4
) -> Path:
    """An adapter that changes what the first layers say, and so every answer.

    Without the extra `train`, which brings what writes GGUF files, the test is skipped.
    """
    gguf = pytest.importorskip("gguf")
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(rank))
    for layer in LAYERS:
        name = f"blk.{layer}.ffn_down.weight"
        down = random.normal(0, INNER**-0.5, (rank, INNER)).astype(np.float32)
        up = random.normal(0, 1.5, (hidden, rank)).astype(np.float32)
        writer.add_tensor(f"{name}.lora_a", down)
        writer.add_tensor(f"{name}.lora_b", up)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
