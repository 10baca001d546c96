"""Memory against what the declared weights take."""

from collections.abc import Iterator
from pathlib import Path

from headrace.server.doctor.result import Result, fail, ok, warn
from headrace.server.doctor.site import Site

__all__ = ["check_memory"]

PER_MODEL_BYTES = 250_000_000
"""What a worker takes beside its weights: runtime, caches, buffers. Measured with the default
model: 350 MB in all, of which 98 MB are weights; a larger model's cache takes more."""
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def check_memory(site: Site, *, meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> Iterator[Result]:
    """Whether the weights that are here fit; those not fetched yet are of unknown size."""
    kept = {each.kept.path: each.kept.size for each in site.weights if each.kept is not None}
    needed = sum(kept.values()) + PER_MODEL_BYTES * len(kept)
    total, available = _memory(meminfo, cgroup)
    if total is None or available is None:
        yield warn("memory", "its size cannot be found out", hint=f"{_gb(needed)} are needed")
        return
    said = f"{_gb(available)} of {_gb(total)} available; the models take about {_gb(needed)}"
    if not kept:
        yield ok("memory", f"{_gb(available)} of {_gb(total)} available")
    elif site.running is not None:
        # What they take is taken already.
        yield ok("memory", said + " (running)")
    elif needed > total:
        yield fail("memory", said, hint="use smaller or more strongly quantised weights")
    elif needed > available:
        yield warn("memory", said, hint="end other programs, or use smaller weights")
    else:
        yield ok("memory", said)


def _memory(meminfo: Path, cgroup: Path) -> tuple[int | None, int | None]:
    """Bytes in all and available, within the container's limit."""
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        total = int(lines["MemTotal"].split()[0]) * 1024
        available = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None, None
    for limit_file, used_file in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limit = int((cgroup / limit_file).read_text())
            used = int((cgroup / used_file).read_text())
        except (OSError, ValueError):
            continue  # no such controller, or `max`
        if limit < total:
            total, available = limit, min(available, limit - used)
    return total, available


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
