"""The address that the service would listen on."""

from collections.abc import Iterator

from headrace.errors import HeadraceError
from headrace.server.doctor.result import Result, failure, ok
from headrace.server.doctor.site import Site
from headrace.server.listen import listening

__all__ = ["check_port"]


def check_port(site: Site) -> Iterator[Result]:
    """Whether `server.host` and `server.port` are free; a service that runs here holds its own."""
    if site.running is not None or site.config is None:
        return
    host, port = site.config.server.host, site.config.server.port
    try:
        with listening(host, port):
            yield ok("port", f"{port} on {host} is free" if port else "any free one is taken")
    except HeadraceError as error:
        yield failure("port", error)
