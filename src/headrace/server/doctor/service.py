"""The service that runs on this home, if one does."""

from collections.abc import Iterator

from headrace.server.doctor.result import Result, fail, ok, warn
from headrace.server.doctor.site import Site

__all__ = ["check_service"]

TIMEOUT_S = 5.0


def check_service(site: Site) -> Iterator[Result]:
    """Whether it answers, and whether a turn sent now would be answered."""
    running = site.running
    if running is None:
        yield ok("service", "not running; `headrace up` starts it")
        return
    import httpx

    said = f"{running.url} (pid {running.pid})"
    try:
        # It is on this machine: a proxy of the environment would only be in the way.
        with httpx.Client(
            base_url=running.url, timeout=TIMEOUT_S, trust_env=False, verify=running.verify()
        ) as client:
            client.get("/healthz").raise_for_status()
            readiness = client.get("/readyz")
    except (httpx.HTTPError, OSError) as error:  # OSError: its certificate's file is not there
        yield fail(
            "service",
            f"{said} does not answer: {error or type(error).__name__}",
            hint=f"end it (kill {running.pid}) and start it again: `headrace up`",
        )
        return
    if readiness.status_code == httpx.codes.OK:
        yield ok("service", f"{said} answers")
    else:
        yield warn(
            "service",
            f"{said} answers, but is not ready: {readiness.text}",
            hint="a model may be starting again: wait a minute, then see the service's log",
        )
