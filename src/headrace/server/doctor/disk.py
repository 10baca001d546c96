"""Room for state and weights."""

import shutil
from collections.abc import Iterator

from headrace.server.doctor.result import Result, fail, ok, warn
from headrace.server.doctor.site import Site

__all__ = ["check_disk"]

FAIL_BELOW = 200_000_000
"""The default weights take 100 MB (and as much again while they arrive), the journal 32 MB."""
WARN_BELOW = 2_000_000_000


def check_disk(site: Site) -> Iterator[Result]:
    """Free space where the home is, or will be."""
    folder = site.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:.1f} GB free for {site.home}"
    hint = "free some space there, or point HEADRACE_HOME to a larger disk"
    if free < FAIL_BELOW:
        yield fail("disk", said, hint=hint)
    elif free < WARN_BELOW:
        yield warn("disk", said, hint=f"{hint}; traces take up to `traces.max_mb`")
    else:
        yield ok("disk", said)
