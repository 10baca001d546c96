"""What is estimated before anything is trained, and what is advised when it cannot fit."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.training import memory
from headrace.training.errors import TrainingDoesNotFit
from headrace.training.job import FineTune, Hyperparameters
from headrace.training.memory import Need, Shape, available_bytes, check_fits, memory_of

SMOLLM2 = Shape(134_515_008, 30, 576, 1536, 9, 3, 64, 49_152, 8192)
SEVEN_B = Shape(7_000_000_000, 32, 4096, 11_008, 32, 32, 128, 32_000, 4096)
LORA = FineTune(base="file:/x", training="x.jsonl")
FULL = msgspec.structs.replace(LORA, tuning="full")


def need(size: int = 4, longest: int = 100, learned: int = 24) -> Need:
    return Need(size, longest, learned, 4.0, 4)


def test_the_estimate_is_near_what_was_measured() -> None:
    """bench/loop/training.py measured a peak of 2.07 GB with these settings."""
    assert 1.8e9 < memory_of(SMOLLM2, LORA, need(4, 105, 24)) < 2.6e9


@given(size=st.integers(1, 64), longest=st.integers(8, 4096), learned=st.integers(1, 512))
def test_more_of_anything_needs_more(size: int, longest: int, learned: int) -> None:
    asked = need(size, longest, learned)
    more = (need(size + 1, longest, learned), need(size, longest + 1, learned))
    assert all(memory_of(SMOLLM2, LORA, each) > memory_of(SMOLLM2, LORA, asked) for each in more)
    assert memory_of(SMOLLM2, FULL, asked) > memory_of(SMOLLM2, LORA, asked)


def test_the_advice_would_fit() -> None:
    with pytest.raises(TrainingDoesNotFit) as refused:
        check_fits(SEVEN_B, FULL, need(8, 1024), 40_000_000_000)
    assert "tuning: lora" in refused.value.hint
    with pytest.raises(TrainingDoesNotFit) as refused:
        check_fits(SMOLLM2, LORA, need(64, 1024), 4_000_000_000)
    advised = Hyperparameters(gradient_checkpointing="gradient_checkpointing" in refused.value.hint)
    size = int(refused.value.hint.rpartition("micro_batch_size: ")[2])
    settled = msgspec.structs.replace(LORA, parameters=advised)
    assert check_fits(SMOLLM2, settled, need(size, 1024), 4_000_000_000) < 4_000_000_000


def test_where_nothing_helps_it_says_so() -> None:
    with pytest.raises(TrainingDoesNotFit) as refused:
        check_fits(SEVEN_B, LORA, need(), 1_000_000_000)
    assert "smaller base" in refused.value.hint


def test_a_containers_bound_counts_without_its_file_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    before = available_bytes()
    (tmp_path / "memory.max").write_text("300000000\n")
    (tmp_path / "memory.current").write_text("250000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 200000000\n")
    assert available_bytes() == min(before, 250_000_000)
    assert available_bytes(1000) == 1000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() > 250_000_000
