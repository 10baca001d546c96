"""`/healthz`, `/readyz` (for probes, without a key) and `/metrics` (for Prometheus, with one)."""

import msgspec

from headrace.gateway.call import Call
from headrace.telemetry.metrics import CONTENT_TYPE

__all__ = ["show_health", "show_metrics", "show_readiness"]


async def show_health(call: Call) -> None:
    """The process runs and its event loop turns."""
    await call.respond(b'{"status":"ok"}')


async def show_readiness(call: Call) -> None:
    """Whether a turn sent now would be answered: 200, or 503 with what is missing."""
    missing = [] if call.service.models.is_ready() else ["model"]
    body = {"status": "not ready" if missing else "ready", "missing": missing}
    await call.respond(msgspec.json.encode(body), status=503 if missing else 200)


async def show_metrics(call: Call) -> None:
    """All figures as Prometheus text."""
    text = await call.platform.scrape()
    await call.respond(text, [(b"content-type", CONTENT_TYPE.encode())])
