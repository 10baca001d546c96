"""Makes a model whose weights are kept in 8 bits compute in 8 bits, too.

Such files are small, but their weights are widened when they are loaded (`Cast`, `Mul` by the
scale of each column, `MatMul`), so that everything is computed in 32 bits. Here each such product
becomes one of 8 bits; all else stays. Read and written is the ONNX file's own protobuf, of which
this needs four kinds of fields. Not covered: files whose products are quantised in another way
(they run as they are), and float weights, which nobody has calibrated.
"""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from headrace.errors import ModelUnavailable

__all__ = ["in_eight_bits", "is_able"]

_Value: TypeAlias = int | bytes
_GRAPH, _OPERATORS = 7, 8
_NODE, _WEIGHT = 1, 5
_INPUT, _OUTPUT, _KIND, _DOMAIN = 1, 2, 4, 7
_DIMENSION, _TYPE, _NAME, _RAW = 1, 2, 8, 9
_FLOAT32, _INT8 = 1, 3
_RUNTIME = b"com.microsoft"
"""Where the product of 8 bits is defined: onnxruntime's own operators."""


def is_able(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor multiplies 8 bits without loss and fast.

    x86 without VNNI adds pairs of products in 16 bits, which overflow silently.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    try:
        return "vnni" in cpuinfo.read_text("utf-8")
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class _Node:
    kind: bytes
    inputs: list[bytes]
    outputs: list[bytes]

    @classmethod
    def of(cls, data: bytes) -> "_Node":
        found = list(_fields(data))
        return cls(
            next(
                (value for name, value in found if name == _KIND and isinstance(value, bytes)), b""
            ),
            [value for name, value in found if name == _INPUT and isinstance(value, bytes)],
            [value for name, value in found if name == _OUTPUT and isinstance(value, bytes)],
        )


def in_eight_bits(model: bytes, name: str) -> bytes:
    """The same model with products of 8 bits.

    Raises:
        ModelUnavailable: it is no model, or has no weights of 8 bits that are widened.
    """
    try:
        made, changed = _rewritten(model)
    except (ValueError, IndexError) as error:
        raise ModelUnavailable(
            f"{name} cannot be read: {error}", hint="is it an ONNX model?"
        ) from error
    if not changed:
        raise ModelUnavailable(
            f"{name} has no weights of 8 bits to compute with",
            hint="take `arithmetic` out; a file that was made for 8 bits uses them anyway",
        )
    return made


def _rewritten(model: bytes) -> tuple[bytes, int]:
    graph = next((v for n, v in _fields(model) if n == _GRAPH and isinstance(v, bytes)), b"")
    tensors = {}
    for number, value in _fields(graph):
        if number == _WEIGHT and isinstance(value, bytes):
            tensor = list(_fields(value))
            tensors[_first(tensor, _NAME)] = tensor
    nodes = [_Node.of(v) for n, v in _fields(graph) if n == _NODE and isinstance(v, bytes)]
    casts = {each.outputs[0]: each.inputs[0] for each in nodes if each.kind == b"Cast"}
    widened = {
        each.outputs[0]: (casts[each.inputs[0]], each.inputs[1])
        for each in nodes
        if each.kind == b"Mul" and each.inputs[0] in casts
    }
    widened = {name: pair for name, pair in widened.items() if _is_scaled(tensors, *pair)}
    made, scales = bytearray(), set()
    for number, value in _fields(graph):
        if number == _NODE and isinstance(value, bytes):
            node = _Node.of(value)
            if node.kind == b"MatMul" and node.inputs[1] in widened:
                weights, scale = widened[node.inputs[1]]
                scales.add(scale)
                value = _product(node, weights, scale + b"_columns")
        made += _field(number, value)
    for scale in sorted(scales):
        raw = _first(tensors[scale], _RAW)
        row: list[tuple[int, _Value]] = [
            (_DIMENSION, len(raw) // 4),
            (_TYPE, _FLOAT32),
            (_NAME, scale + b"_columns"),
            (_RAW, raw),
        ]
        made += _field(_WEIGHT, b"".join(_field(*each) for each in row))
    whole = b"".join(_field(n, bytes(made) if n == _GRAPH else v) for n, v in _fields(model))
    return whole + _field(_OPERATORS, _field(1, _RUNTIME) + _field(2, 1)), len(scales)


def _is_scaled(
    tensors: dict[bytes, list[tuple[int, _Value]]], weights: bytes, scale: bytes
) -> bool:
    """Whether these are weights (K, N) of 8 bits, and a scale for each of their N columns."""
    if weights not in tensors or scale not in tensors:
        return False
    sizes = [value for number, value in tensors[weights] if number == _DIMENSION]
    return (
        (_TYPE, _INT8) in tensors[weights]
        and (_TYPE, _FLOAT32) in tensors[scale]
        and len(sizes) == 2
        and len(_first(tensors[scale], _RAW)) in (4, 4 * int(sizes[1]))
        and [v for n, v in tensors[scale] if n == _DIMENSION][:1] in ([], [1])
    )


def _product(node: _Node, weights: bytes, scale: bytes) -> bytes:
    inputs = (node.inputs[0], weights, scale)
    return b"".join(
        [
            *(_field(_INPUT, each) for each in inputs),
            _field(_OUTPUT, node.outputs[0]),
            _field(_KIND, b"DynamicQuantizeMatMul"),
            _field(_DOMAIN, _RUNTIME),
        ]
    )


def _first(fields: list[tuple[int, _Value]], number: int) -> bytes:
    """A field of bytes; empty where there is none."""
    return next((v for n, v in fields if n == number and isinstance(v, bytes)), b"")


def _fields(data: bytes) -> Iterator[tuple[int, _Value]]:
    """A protobuf message's fields; numbers and bytes, which is all that these have."""
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        value, at = _number(data, at)
        if key & 7 == 0:
            yield key >> 3, value
        elif key & 7 == 2 and at + value <= len(data):
            yield key >> 3, data[at : at + value]
            at += value
        else:
            raise ValueError("not the fields of a model")


def _number(data: bytes, at: int) -> tuple[int, int]:
    found = shift = 0
    while True:
        byte = data[at]
        found |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return found, at


def _field(number: int, value: _Value) -> bytes:
    if isinstance(value, int):
        return _written(number << 3) + _written(value)
    return _written(number << 3 | 2) + _written(len(value)) + value


def _written(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)
