"""Who works on evals in this process: calls go through the same door as any request."""

import asyncio
from collections.abc import Mapping
from typing import NoReturn

from headrace.evaluation.scorer import Tools
from headrace.gateway.app import Gateway
from headrace.gateway.http import Exchange
from headrace.gateway.inner import InnerGateway
from headrace.models.builder import EMBEDDING
from headrace.models.embedder import ModelEmbedder
from headrace.pipeline.service import Platform
from headrace.types import Embedder
from headrace.workflows.evals.runner import EvalRunner
from headrace.workflows.evals.store import EvalStore

__all__ = ["eval_runner"]


def eval_runner(platform: Platform, environ: Mapping[str, str]) -> EvalRunner:
    """A runner that asks as the platform's gateway answers requests."""
    loading = asyncio.Lock()

    async def embedder() -> Embedder:
        # Of the service as it is now: a model that is loaded already stays so.
        found = ModelEmbedder(platform.service.models.get(EMBEDDING))
        async with loading:
            await found.load()
        return found

    def tools() -> Tools:
        root = platform.service.config.root
        return Tools(root=root, environ=environ, embedder=embedder)

    return EvalRunner(
        EvalStore(platform.database, platform.files.vault),
        platform.files,
        platform.keys,
        InnerGateway(Gateway(platform, _no_pages)),
        tools,
    )


async def _no_pages(exchange: Exchange) -> NoReturn:
    raise AssertionError(f"an eval asks for the page {exchange.path}")
