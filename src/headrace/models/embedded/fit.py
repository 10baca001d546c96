"""Whether an adapter fits its base model, before llama.cpp is asked, which does not say why not.

Reads the heads of both GGUF files: metadata and the tensors' names and sizes. Not covered: an
adapter for another model of the same architecture and sizes, unless it says which (`base_sha256`).

Source: ggml, "GGUF", docs/gguf.md; llama.cpp, src/llama-adapter.cpp.
"""

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from headrace.models.adapted import AdapterSource
from headrace.models.errors import AdapterUnusable, WeightsUnavailable
from headrace.models.store import Kept

__all__ = ["check_fit", "check_weights"]

_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"
}  # fmt: skip
_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_BYTES = {0: 4, 1: 2}
"""Of a number, where a tensor is not quantized: float32 and float16, as adapters are."""
_A, _B = ".lora_a", ".lora_b"


@dataclass(frozen=True, slots=True)
class _Head:
    texts: dict[str, str]
    """Metadata that is text."""
    sizes: dict[str, tuple[int, ...]]
    """Of each tensor, as the file has them: columns first."""


def check_fit(source: AdapterSource, path: Path, base: Kept) -> None:
    """Say whether llama.cpp can put an adapter on these weights.

    Raises:
        AdapterUnusable: it is another base's, or no adapter; says which and why.
    """
    what = f"the adapter {source.digest or source.reference}"
    if source.base_sha256 and source.base_sha256.lower() != base.sha256:
        raise AdapterUnusable(
            f"{what} was trained on weights with the SHA-256 {source.base_sha256}; those here have "
            f"{base.sha256}",
            hint="name the model it was trained on as its `base`, or train it again on this one",
        )
    adapter, weights = _read(path, what), _read(base.path, base.path.name)
    kind = adapter.texts.get("general.type"), adapter.texts.get("adapter.type")
    if kind != ("adapter", "lora"):
        raise AdapterUnusable(
            f"{what} is a GGUF file, but no LoRA adapter", hint="`headrace train` makes one"
        )
    key = "general.architecture"
    if adapter.texts.get(key) != weights.texts.get(key):
        raise AdapterUnusable(
            f"{what} is for models of the architecture {adapter.texts.get(key)!r}; "
            f"{base.path.name} is {weights.texts.get(key)!r}",
            hint="name the model it was trained on as its `base`",
        )
    for name, (columns, rank) in _pairs(adapter, what):
        found = weights.sizes.get(name)
        if found is None or found[:2] != columns:
            raise AdapterUnusable(
                f"{what} does not fit {base.path.name}: its layer {name!r} is of "
                f"{columns[0]}x{columns[1]} (rank {rank}), the model's of "
                + ("another name" if found is None else "x".join(map(str, found))),
                hint="name the model it was trained on as its `base`",
            )


def _pairs(adapter: _Head, what: str) -> list[tuple[str, tuple[tuple[int, int], int]]]:
    """Each adapted tensor with the size of what it is added to, and its rank."""
    found = []
    for name, sizes in adapter.sizes.items():
        if not name.endswith(_A):
            continue
        layer = name.removesuffix(_A)
        other = adapter.sizes.get(layer + _B)
        if other is None or len(sizes) < 2 or len(other) < 2 or sizes[1] != other[0]:
            raise AdapterUnusable(
                f"{what} is broken: the two halves of its layer {layer!r} have different ranks",
                hint="export it again",
            )
        found.append((layer, ((sizes[0], other[1]), sizes[1])))
    if not found:
        raise AdapterUnusable(f"{what} adapts no layer", hint="export it again")
    return found


def _read(path: Path, what: str) -> _Head:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data).head()
    except (OSError, ValueError, struct.error, KeyError) as error:
        raise AdapterUnusable(
            f"{what} cannot be read as a GGUF file: {error}", hint="export it again"
        ) from error


def check_weights(reference: str, path: Path) -> None:
    """Refuse a file that is none of llama.cpp's, of which it would say nothing that helps.

    Raises:
        WeightsUnavailable: it does not begin as a GGUF file does.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) == _MAGIC:
            return
    raise WeightsUnavailable(
        f"{reference}: this is no GGUF file",
        hint="`embedded` takes GGUF files alone; name one of the model's, often NAME-GGUF on a hub",
    )


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def head(self) -> _Head:
        if self._data[:4] != _MAGIC:
            raise ValueError("it does not begin as one does")
        self._at = 8
        tensors, entries = self._whole("<Q"), self._whole("<Q")
        texts: dict[str, str] = {}
        for _ in range(entries):
            name = self._text()
            kind = self._whole("<I")
            if kind == _STRING:
                texts[name] = self._text()
            else:
                self._skip(kind)
        sizes: dict[str, tuple[int, ...]] = {}
        end = 0
        for _ in range(tensors):
            name = self._text()
            sizes[name] = tuple(self._whole("<Q") for _ in range(self._whole("<I")))
            width = _BYTES.get(self._whole("<I"), 0)
            end = max(end, self._whole("<Q") + width * math.prod(sizes[name]))
        if self._at + end > len(self._data):
            raise ValueError("it was cut off")
        return _Head(texts, sizes)

    def _whole(self, form: str) -> int:
        found: int = struct.unpack_from(form, self._data, self._at)[0]
        self._at += struct.calcsize(form)
        return found

    def _text(self) -> str:
        length = self._whole("<Q")
        self._at += length
        return self._data[self._at - length : self._at].decode(errors="replace")

    def _skip(self, kind: int) -> None:
        if kind != _ARRAY:
            self._at += struct.calcsize(_SCALARS[kind])
            return
        kind, count = self._whole("<I"), self._whole("<Q")
        if kind == _STRING:
            for _ in range(count):
                length = self._whole("<Q")
                self._at += length
        else:
            self._at += count * struct.calcsize(_SCALARS[kind])
