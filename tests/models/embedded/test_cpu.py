"""Threads: no more than the container may really run."""

import os
from pathlib import Path

import pytest

from headrace.models.embedded.cpu import usable_cpus

ALLOWED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [
        ("max 100000", ALLOWED),
        ("100000 100000", 1),
        ("150000 100000", min(2, ALLOWED)),
        ("5000 100000", 1),
        ("99900000 100000", ALLOWED),
        ("what is this", ALLOWED),
    ],
)
def test_a_quota_of_cpu_time_bounds_the_threads(tmp_path: Path, quota: str, cpus: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert usable_cpus(tmp_path) == cpus


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == ALLOWED
