"""What this machine has for steps to take: cores, memory, GPUs."""

import os
from functools import cache
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.models.embedded.cpu import usable_cpus
from headrace.workflows.errors import StepFailed
from headrace.workflows.file import Resources

__all__ = ["check_fits", "machine"]


@cache
def machine() -> Resources:
    """All that there is, whoever uses it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
        memory = memory if limit == "max" else min(memory, int(limit))
    except (OSError, ValueError):
        pass  # no control groups: the machine's own is the limit
    gpus = len([each for each in Path("/dev").glob("nvidia*") if each.name[6:].isdigit()])
    return Resources(cpus=float(usable_cpus()), memory_gb=memory / 1e9, gpus=gpus)


def check_fits(needs: Resources, has: Resources, step_id: str) -> HeadraceError | None:
    """Why a step can never run on this machine."""
    for name in ("cpus", "memory_gb", "gpus"):
        wanted, there = getattr(needs, name), getattr(has, name)
        if wanted > there:
            return StepFailed(
                f"{step_id} asks for {wanted:g} {name}, this machine has {there:g}",
                hint="lower `resources`, or run it on another machine",
            )
    return None
