"""All checks, in the order in which one should mend: machine, state, files, service."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from headrace.server.doctor.certificate import check_certificate
from headrace.server.doctor.database import check_database
from headrace.server.doctor.disk import check_disk
from headrace.server.doctor.files import check_files
from headrace.server.doctor.home import check_home
from headrace.server.doctor.interpreter import check_interpreter
from headrace.server.doctor.memory import check_memory
from headrace.server.doctor.plugins import check_plugins
from headrace.server.doctor.port import check_port
from headrace.server.doctor.processor import check_processor
from headrace.server.doctor.result import Result, fail
from headrace.server.doctor.retirement import check_retirement
from headrace.server.doctor.service import check_service
from headrace.server.doctor.site import Site
from headrace.server.doctor.tools import check_tools
from headrace.server.doctor.weights import check_weights

__all__ = ["examine"]

Check: TypeAlias = Callable[[Site], Iterable[Result]]

CHECKS: dict[str, Check] = {
    "files": check_files,
    "processor": check_processor,
    "memory": check_memory,
    "disk": check_disk,
    "home": check_home,
    "database": check_database,
    "weights": check_weights,
    "catalogue": check_retirement,
    "tools": check_tools,
    "port": check_port,
    "certificate": check_certificate,
    "service": check_service,
}


def examine(root: Path, environ: Mapping[str, str]) -> Iterator[Result]:
    """Look at everything; results come as they are found."""
    yield from check_interpreter()
    yield from check_plugins()
    site = Site.of(root, environ)
    for name, check in CHECKS.items():
        yield from _looked(name, check, site)


def _looked(name: str, check: Check, site: Site) -> Iterator[Result]:
    """The check's results; one that may not look somewhere is a result too, not the end."""
    try:
        yield from check(site)
    except OSError as error:
        yield fail(
            name,
            f"{error.filename or site.home}: {error.strerror or error}",
            hint="check the path and its permissions",
        )
