"""Who works on batches in this process: rows go through the same door as any request."""

from typing import NoReturn

from headrace.gateway.app import Gateway
from headrace.gateway.http import Exchange
from headrace.gateway.inner import InnerGateway
from headrace.pipeline.service import Platform
from headrace.workflows.batch.runner import BatchRunner, Saw
from headrace.workflows.batch.store import BatchStore

__all__ = ["batch_runner"]


def batch_runner(platform: Platform, *, saw: Saw = lambda _: None) -> BatchRunner:
    """A runner that answers rows as the platform's gateway answers requests."""
    return BatchRunner(
        BatchStore(platform.database),
        platform.files,
        platform.keys,
        platform.home,
        InnerGateway(Gateway(platform, _no_pages)),
        saw=saw,
    )


async def _no_pages(exchange: Exchange) -> NoReturn:
    raise AssertionError(f"a batch asks for the page {exchange.path}")
