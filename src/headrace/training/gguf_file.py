"""GGUF files, read: metadata and where each tensor lies, without reading the tokenizer's words.

The `gguf` package's own reader makes an array object of every word of the vocabulary, which takes
seconds; here lists of strings are passed over. Its quantization code is used as it is.

Source: ggml, "GGUF", docs/gguf.md.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from headrace.training.errors import TrainingInvalid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GgufFile", "GgufTensor", "GgufValue"]

GgufValue: TypeAlias = int | float | bool | str | list[int | float | bool] | None
"""None: a list of strings, which was passed over."""

_MAGIC = b"GGUF"
_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Where a tensor lies, and in which form."""

    name: str
    shape: tuple[int, ...]
    """As PyTorch has it: (out, in)."""
    type: int
    """A `gguf.GGMLQuantizationType`."""
    offset: int
    """Within the file."""


class GgufFile:
    """One GGUF file."""

    def __init__(
        self,
        path: Path,
        fields: dict[str, GgufValue],
        tensors: dict[str, GgufTensor],
        metadata: tuple[int, int],
    ) -> None:
        self.path = path
        self.fields = fields
        self.tensors = tensors
        self.metadata = metadata
        """Count of the metadata's entries, and the byte where they end (they begin at 24)."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """
        Raises:
            TrainingInvalid: it is no GGUF file, or was cut off.
        """
        try:
            with (
                path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            ):
                return cls._read(path, _Cursor(data))
        except (OSError, ValueError, struct.error, KeyError) as error:
            raise TrainingInvalid(
                f"{path} cannot be read as a GGUF file: {error}", hint="fetch the weights again"
            ) from error

    @classmethod
    def _read(cls, path: Path, cursor: "_Cursor") -> Self:
        if cursor.take(4) != _MAGIC:
            raise ValueError("it does not begin as one does")
        version = cursor.number("<I")
        if version not in (2, 3):
            raise ValueError(f"its version is {version}")
        tensor_count, entries = int(cursor.number("<Q")), int(cursor.number("<Q"))
        fields: dict[str, GgufValue] = {}
        for _ in range(entries):
            name = cursor.text()
            fields[name] = cursor.value(int(cursor.number("<I")))
        metadata_end = cursor.at
        found: list[GgufTensor] = []
        for _ in range(tensor_count):
            name = cursor.text()
            sizes = [int(cursor.number("<Q")) for _ in range(int(cursor.number("<I")))]
            kind, offset = int(cursor.number("<I")), int(cursor.number("<Q"))
            found.append(GgufTensor(name, tuple(reversed(sizes)), kind, offset))
        alignment = fields.get("general.alignment", _ALIGNMENT)
        assert isinstance(alignment, int)
        base = -(-cursor.at // alignment) * alignment
        tensors = {
            each.name: GgufTensor(each.name, each.shape, each.type, base + each.offset)
            for each in found
        }
        return cls(path, fields, tensors, (entries, metadata_end))

    @property
    def architecture(self) -> str:
        return str(self.fields.get("general.architecture", ""))

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number of the metadata, named without the architecture.

        Raises:
            TrainingInvalid: it is not there.
        """
        value = self.fields.get(f"{self.architecture}.{name}", default)
        if not isinstance(value, int):
            raise TrainingInvalid(f"{self.path}: the metadata {name!r} is missing")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.fields.get(f"{self.architecture}.{name}", default)
        return float(value) if isinstance(value, int | float) else default

    def stored(self, tensor: GgufTensor) -> "NDArray[np.uint8]":
        """A tensor's bytes as they are, a row of the matrix a row."""
        import numpy as np
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(tensor.type)]
        row = tensor.shape[-1] // block * size
        rows = 1
        for each in tensor.shape[:-1]:
            rows *= each
        data = np.memmap(self.path, np.uint8, "r", tensor.offset, (rows * row,))
        return data.reshape(*tensor.shape[:-1], row)

    def tensor(self, name: str) -> "NDArray[np.float32]":
        """A tensor as numbers, in PyTorch's shape.

        Raises:
            TrainingInvalid: there is none, or its quantization is unknown.
        """
        import numpy as np
        from gguf import quants
        from gguf.constants import GGMLQuantizationType

        tensor = self.tensors.get(name)
        if tensor is None:
            raise TrainingInvalid(f"{self.path}: there is no tensor {name!r}")
        try:
            numbers = quants.dequantize(self.stored(tensor), GGMLQuantizationType(tensor.type))
        except (NotImplementedError, ValueError) as error:
            raise TrainingInvalid(
                f"{self.path}: the tensor {name!r} is quantized as {tensor.type}, which cannot be "
                "made numbers of",
                hint="train from the Q8_0, Q4_1 or F16 file of the same model",
            ) from error
        return np.array(numbers, dtype=np.float32).reshape(tensor.shape)


class _Cursor:
    """Reads on in the file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        taken = self._data[self.at : self.at + count]
        if len(taken) != count:
            raise ValueError("it was cut off")
        self.at += count
        return taken

    def number(self, form: str) -> int | float | bool:
        found: int | float | bool = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return found

    def text(self) -> str:
        return self.take(int(self.number("<Q"))).decode(errors="replace")

    def value(self, kind: int) -> GgufValue:
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_SCALARS[kind])
        kind, count = int(self.number("<I")), int(self.number("<Q"))
        if kind == _STRING:
            for _ in range(count):
                self.at += 8 + int.from_bytes(self._data[self.at : self.at + 8], "little")
            return None
        if kind == _ARRAY:
            raise ValueError("it has lists of lists")
        form = _SCALARS[kind]
        data = self.take(count * struct.calcsize(form))
        return list(struct.unpack(f"<{count}{form[1]}", data))
