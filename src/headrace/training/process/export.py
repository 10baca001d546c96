"""What a training leaves: the adapter as PEFT and as GGUF files, and, on request, one merged file.

A GGUF adapter has, for each adapted weight, the two small matrices under the weight's GGUF name; the
rows of `B` stand in the file's order (see names.py). A merged file is the base file again, its
metadata and tokenizer byte for byte, with the changed weights in Q8_0: in the base's own 4 bits most
of what was learned would be rounded away.
"""

import struct
from pathlib import Path

import gguf
import msgspec
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.typing import NDArray
from safetensors.numpy import load_file

from headrace.training.errors import TrainingInvalid
from headrace.training.gguf_file import GgufFile
from headrace.training.names import gguf_name, permuted

__all__ = ["Target", "check_mergeable", "write_adapter", "write_merged"]

_ALIGNMENT = 32
_A, _B = ".lora_A.weight", ".lora_B.weight"
_PREFIX = "base_model.model."


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The model that the names are of."""

    architecture: str
    """GGUF's."""
    layers: int
    heads: int
    kv_heads: int

    def name(self, weight: str) -> str:
        return gguf_name(self.architecture, self.layers, weight)

    def in_order(self, weight: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return permuted(self.architecture, weight, rows, self.heads, self.kv_heads)


class _Configuration(msgspec.Struct):
    r: int
    lora_alpha: float


def write_adapter(peft: Path, file: Path, target: Target) -> None:
    """A GGUF adapter of a PEFT folder.

    Raises:
        TrainingInvalid: a weight has no name in GGUF.
    """
    configuration = _read_configuration(peft)
    writer = gguf.GGUFWriter(file, target.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, configuration.lora_alpha)
    for weight, (a, b) in sorted(_pairs(peft).items()):
        name = target.name(weight)
        writer.add_tensor(f"{name}.weight.lora_a", np.ascontiguousarray(a))
        writer.add_tensor(
            f"{name}.weight.lora_b", np.ascontiguousarray(target.in_order(f"{weight}.weight", b))
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _read_configuration(peft: Path) -> _Configuration:
    return msgspec.json.decode((peft / "adapter_config.json").read_bytes(), type=_Configuration)


def _pairs(peft: Path) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """`A` (rank, in) and `B` (out, rank) by the adapted weight's name, without `.weight`."""
    tensors = load_file(peft / "adapter_model.safetensors")
    pairs: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
    for name, a in tensors.items():
        if name.endswith(_A):
            weight = name.removesuffix(_A)
            b = tensors[weight + _B]
            pairs[weight.removeprefix(_PREFIX)] = (a.astype(np.float32), b.astype(np.float32))
    return pairs


def write_merged(
    base: GgufFile, trained: Path, file: Path, target: Target, *, is_full: bool
) -> None:
    """The base file with what was trained in its weights.

    Args:
        trained: a PEFT folder, or after full tuning one with `model.safetensors`.
    """
    changed = _full_weights(trained, target) if is_full else {}
    deltas = {} if is_full else _deltas(trained, target)
    tensors: list[tuple[str, tuple[int, ...], int, NDArray[np.uint8]]] = []
    for name, tensor in base.tensors.items():
        numbers = changed.get(name)
        if name in deltas:
            scale, a, b = deltas[name]
            numbers = base.tensor(name) + scale * (b @ a)
        if numbers is None:
            tensors.append((name, tensor.shape, tensor.type, base.stored(tensor)))
            continue
        kind = _kind_for(numbers, GGMLQuantizationType(tensor.type))
        stored = gguf.quants.quantize(numbers, kind).view(np.uint8)
        tensors.append((name, tensor.shape, kind.value, stored))
    _write(base, file, tensors)


def _kind_for(numbers: NDArray[np.float32], was: GGMLQuantizationType) -> GGMLQuantizationType:
    if was in (GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16):
        return was
    block = GGML_QUANT_SIZES[GGMLQuantizationType.Q8_0][0]
    is_whole = numbers.shape[-1] % block == 0
    return GGMLQuantizationType.Q8_0 if is_whole else GGMLQuantizationType.F16


def _deltas(
    peft: Path, target: Target
) -> dict[str, tuple[float, NDArray[np.float32], NDArray[np.float32]]]:
    """Scale, `A` and `B` in the file's order, by the GGUF tensor that they change."""
    configuration = _read_configuration(peft)
    scale = configuration.lora_alpha / configuration.r
    return {
        f"{target.name(weight)}.weight": (scale, a, target.in_order(f"{weight}.weight", b))
        for weight, (a, b) in _pairs(peft).items()
    }


def _full_weights(folder: Path, target: Target) -> dict[str, NDArray[np.float32]]:
    weights = load_file(folder / "model.safetensors")
    return {
        target.name(name): target.in_order(name, each.astype(np.float32))
        for name, each in weights.items()
    }


def _write(
    base: GgufFile, file: Path, tensors: list[tuple[str, tuple[int, ...], int, NDArray[np.uint8]]]
) -> None:
    entries, end = base.metadata
    with base.path.open("rb") as source, file.open("wb") as out:
        head = source.read(24)
        out.write(head[:8] + struct.pack("<QQ", len(tensors), entries))
        source.seek(24)
        out.write(source.read(end - 24))
        offset = 0
        for name, shape, kind, data in tensors:
            encoded = name.encode()
            out.write(struct.pack("<Q", len(encoded)) + encoded)
            out.write(struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape)))
            out.write(struct.pack("<IQ", kind, offset))
            offset += -(-data.nbytes // _ALIGNMENT) * _ALIGNMENT
        out.write(b"\0" * (-out.tell() % _ALIGNMENT))
        for _, _, _, data in tensors:
            out.write(np.ascontiguousarray(data).tobytes())
            out.write(b"\0" * (-data.nbytes % _ALIGNMENT))


def check_mergeable(base: GgufFile) -> None:
    """
    Raises:
        TrainingInvalid: the file is laid out in a way that is not written here.
    """
    if base.fields.get("general.alignment", _ALIGNMENT) != _ALIGNMENT:
        raise TrainingInvalid(
            f"{base.path} is aligned otherwise than to {_ALIGNMENT} bytes, so it cannot be merged",
            hint="leave out merge: the adapter alone serves as well",
        )
