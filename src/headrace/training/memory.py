"""How much memory a fine-tune takes, before it takes it; and how much there is.

The estimate is a formula, checked against measured peaks in bench/loop/training.py:

    weights      parameters × 4 bytes (2 in bfloat16, 0.6 in 4 bits)
    updates      trained parameters × 12 bytes (gradient, and Adam's two moments, in float32)
    activations  tokens of a micro-batch × layers × (16 hidden + 6 intermediate + heads × length)
                 numbers; with gradient checkpointing one hidden state a layer, and one layer's all
    logits       learned positions × vocabulary × 3 numbers in float32
    program      0.7 GB: PyTorch itself and what it allocates on the way
"""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

import msgspec

from headrace.training.errors import TrainingDoesNotFit
from headrace.training.job import FineTune

__all__ = ["Need", "Shape", "available_bytes", "check_fits", "memory_of", "trained_parameters"]

_PROGRAM = 700_000_000
_UPDATE_BYTES = 12
_MARGIN = 1.1
_CGROUP = Path("/sys/fs/cgroup")
_CGROUPS = (
    ("memory.current", "memory.max", "memory.stat"),
    ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes", "memory/memory.stat"),
)
"""Of version 2 and version 1: what is used, its bound, and what it is used for."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides memory: read without loading anything."""

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context_tokens: int


@dataclass(frozen=True, slots=True)
class Need:
    """What one step has to hold at once."""

    micro_batch_size: int
    longest: int
    """Tokens of the longest sequence."""
    learned: int
    """Most learned tokens of one sequence."""
    weight_bytes: float
    """A parameter."""
    number_bytes: int
    """An activation."""


def trained_parameters(shape: Shape, spec: FineTune) -> int:
    """How many parameters are updated."""
    if spec.tuning == "full":
        return shape.parameters
    rank = spec.parameters.lora_rank
    query, key = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    sizes = {
        "q_proj": (shape.hidden, query),
        "k_proj": (shape.hidden, key),
        "v_proj": (shape.hidden, key),
        "o_proj": (query, shape.hidden),
        "gate_proj": (shape.hidden, shape.intermediate),
        "up_proj": (shape.hidden, shape.intermediate),
        "down_proj": (shape.intermediate, shape.hidden),
    }
    wanted = spec.parameters.lora_targets
    return shape.layers * sum(
        rank * (into + out)
        for name, (into, out) in sizes.items()
        if wanted is None or name in wanted
    )


def memory_of(shape: Shape, spec: FineTune, need: Need) -> int:
    """Bytes at the peak, as the module says."""
    sides = 2 if spec.method == "dpo" else 1
    sequences = need.micro_batch_size * sides
    tokens = sequences * need.longest
    a_layer = tokens * (16 * shape.hidden + 6 * shape.intermediate + shape.heads * need.longest)
    numbers = shape.layers * a_layer
    if spec.parameters.gradient_checkpointing:
        numbers = shape.layers * tokens * shape.hidden + a_layer
    logits = sequences * need.learned * shape.vocabulary * 3 * 4
    weights = shape.parameters * need.weight_bytes
    updates = trained_parameters(shape, spec) * _UPDATE_BYTES
    return int(_PROGRAM + weights + updates + numbers * need.number_bytes + logits)


def available_bytes(limit: int | None = None) -> int:
    """Memory that this process may still take: what is free, within its container's bound."""
    found = _meminfo()
    for usage, bound, statistics in _CGROUPS:
        try:
            most = int((_CGROUP / bound).read_text("ascii"))
            used = int((_CGROUP / usage).read_text("ascii"))
            used -= _cached_bytes(_CGROUP / statistics)
            found = min(found, max(0, most - used))
        except (OSError, ValueError):
            continue  # no control groups of this version, or no bound
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        found = min(found, soft)
    return min(found, limit) if limit is not None else found


def _cached_bytes(statistics: Path) -> int:
    """File contents that count as used and are given up when memory is wanted."""
    for line in statistics.read_text("ascii").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _meminfo() -> int:
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass  # no Linux: all of it, as far as anybody says
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_fits(shape: Shape, spec: FineTune, need: Need, available: int) -> int:
    """The estimate in bytes.

    Raises:
        TrainingDoesNotFit: it is above `available`; the hint has settings that fit, if any do.
    """
    wanted = memory_of(shape, spec, need)
    if wanted * _MARGIN <= available:
        return wanted
    raise TrainingDoesNotFit(
        f"this fine-tune needs about {_gigabytes(wanted)}, and {_gigabytes(available)} are free",
        hint=_advice(shape, spec, need, available),
    )


def _advice(shape: Shape, spec: FineTune, need: Need, available: int) -> str:
    """The smallest change that fits."""
    parameters = spec.parameters
    smaller = [each for each in (32, 16, 8, 4, 2, 1) if each < need.micro_batch_size]
    tried: list[tuple[FineTune, Need, str]] = []
    for tuning in dict.fromkeys((spec.tuning, "lora")):
        lead = "" if tuning == spec.tuning else f"tuning: {tuning}, "
        for checkpointing in dict.fromkeys((parameters.gradient_checkpointing, True)):
            changed = msgspec.structs.replace(
                spec,
                tuning=tuning,
                parameters=msgspec.structs.replace(
                    parameters, gradient_checkpointing=checkpointing
                ),
            )
            more = lead
            if checkpointing and not parameters.gradient_checkpointing:
                more += "gradient_checkpointing: true, "
            for size in (need.micro_batch_size, *smaller):
                words = more
                if size != need.micro_batch_size:
                    words += f"micro_batch_size: {size}, "
                narrowed = Need(
                    size, need.longest, need.learned, need.weight_bytes, need.number_bytes
                )
                tried.append((changed, narrowed, words))
    for changed, narrowed, words in tried:
        wanted = memory_of(shape, changed, narrowed)
        if words and wanted * _MARGIN <= available:
            return f"it would fit ({_gigabytes(wanted)}) with {words.rstrip(', ')}"
    return "no setting makes it fit here: take a smaller base model, or free memory"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
