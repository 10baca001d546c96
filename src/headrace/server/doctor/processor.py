"""The processor: instructions that the embedded runtime is built for, and how much of it we may use."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from headrace.server.doctor.result import Result, fail, ok, warn
from headrace.server.doctor.site import Site

__all__ = ["check_processor"]

NEEDED = ("avx2", "bmi2", "f16c", "fma")
"""The x86-64 wheel of xllamacpp is compiled for these, without a second path for older ones."""
CPUINFO = Path("/proc/cpuinfo")
CGROUP = Path("/sys/fs/cgroup")


def check_processor(
    site: Site,
    *,
    cpuinfo: Path = CPUINFO,
    cgroup: Path = CGROUP,
    machine: str = platform.machine(),
) -> Iterator[Result]:
    """Instructions of the processor, and cores that this process may use."""
    missing = _missing(cpuinfo) if machine == "x86_64" else []
    if missing and any(each.backend == "embedded" for each in site.weights):
        yield fail(
            "processor",
            f"{machine} without {', '.join(missing)}: the embedded runtime would crash",
            hint="use a newer processor (2013 on), or have the virtual machine pass its "
            "instructions through (CPU type `host`)",
        )
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _quota(cgroup)
    said = f"{machine}, {cores} cores"
    if quota is not None and cores is not None and quota < cores:
        yield warn(
            "processor",
            f"{said}, but the container may use only {quota:g} of them",
            hint="set `threads:` of embedded deployments to that, or raise the container's limit",
        )
    elif cores == 1:
        yield warn("processor", said, hint="answers will be slow; two cores or more are better")
    else:
        yield ok("processor", said)


def _missing(cpuinfo: Path) -> list[str]:
    try:
        text = cpuinfo.read_text("utf-8", "replace")
    except OSError:
        return []  # not Linux, or hidden: nothing is known to be missing
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    has = set(flags.partition(":")[2].split())
    return [each for each in NEEDED if has and each not in has]


def _quota(cgroup: Path) -> float | None:
    """Cores that the container may use at once (cgroup v2, then v1); None for no limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if limit in ("max", "-1"):
        return None
    return int(limit) / int(period)
