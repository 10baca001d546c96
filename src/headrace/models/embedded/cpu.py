"""How many CPUs this process may really use: its affinity, and the quota of its container."""

import os
from pathlib import Path

__all__ = ["usable_cpus"]


def usable_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """At least 1. A container with 2 CPUs' worth of time on 64 cores must not run 64 threads.

    Source: Linux, "Control Group v2", `cpu.max`.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpus = allowed or 1
    try:
        quota, period = (cgroup / "cpu.max").read_text("ascii").split()
        if quota != "max":
            cpus = min(cpus, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no control groups, or version 1: the affinity is all that is known
    return max(1, cpus)
