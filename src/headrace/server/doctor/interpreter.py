"""The interpreter and the system that Headrace runs on."""

import platform
import sys
from collections.abc import Iterator

from headrace import __version__
from headrace.server.doctor.result import Result, fail, ok, warn

__all__ = ["check_interpreter"]

OLDEST = (3, 11)
NEWEST_TESTED = (3, 13)


def check_interpreter(
    version: tuple[int, int] = sys.version_info[:2], system: str = sys.platform
) -> Iterator[Result]:
    """Python's version, and whether the system has what state and worker processes need."""
    name = f"Headrace {__version__} on Python {version[0]}.{version[1]}, {platform.platform()}"
    if version < OLDEST:
        yield fail("python", name, hint="Headrace needs Python 3.11 or newer: install one")
    elif version > NEWEST_TESTED:
        yield warn("python", name, hint="tested up to Python 3.13; report what does not work")
    elif system == "win32":
        yield fail("python", name, hint="Headrace runs on Linux (or macOS); on Windows use WSL 2")
    elif system != "linux":
        yield warn("python", name, hint="tested on Linux; report what does not work")
    else:
        yield ok("python", name)
