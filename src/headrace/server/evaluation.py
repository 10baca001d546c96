"""Suites asked of a folder's service: through its pipeline, as a client would.

A run whose every answer is kept ends without loading the model. For that, what the folder declares
(before anything is started) is remembered with the release that it turned out to be. A remote
model is known by its address and name: new weights behind them are not seen, and `--fresh` asks
again.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from headrace.access.principal import Principal
from headrace.config.load import load_service
from headrace.config.node import Node
from headrace.evaluation.ask import Answer, Answerer, Ask
from headrace.evaluation.drift.live import LIVE, LiveTurn, stored_answers, suite_of, without_texts
from headrace.evaluation.run import Cache, Run, run_suite
from headrace.evaluation.scorer import NotKept, Scorer, Tools
from headrace.evaluation.scorers.table import make_scorers
from headrace.evaluation.suite import Suite
from headrace.models.backend import Call
from headrace.models.box import ModelBox
from headrace.models.builder import EMBEDDING
from headrace.models.cache.build import build_cache
from headrace.models.cache.settings import read_cache
from headrace.models.embedder import ModelEmbedder
from headrace.models.store import ModelStore
from headrace.models.weights import declared_weights
from headrace.pipeline.compile import compile_pipeline
from headrace.pipeline.conversation import ConversationStore
from headrace.pipeline.service import Platform, Service
from headrace.pipeline.turn import Turn
from headrace.privacy.vault import Vault
from headrace.prompts.library import PromptLibrary
from headrace.prompts.store import PromptStore
from headrace.screening.policy import PolicyLibrary
from headrace.server.knowledge import open_knowledge, read_glossary
from headrace.storage.database import Database
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.trace import Trace
from headrace.types import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["declared_release", "embedded", "evaluate", "pipeline_answerer", "score_turns"]

_NO_TURN = "no turn runs here"

Saw: TypeAlias = Callable[[int, int], None]


async def evaluate(
    node: Node,
    suite: Suite,
    cache: Cache,
    open_service: Callable[[], AbstractAsyncContextManager[Platform]],
    principal: Principal,
    *,
    tools: Tools,
    declared: str,
    parallel: int,
    saw: Saw,
) -> Run:
    """Run a suite; the service is opened only if something has to be asked.

    Args:
        tools: without what asks a model.
        declared: see `declared_release`; empty: open the service in any case.

    Raises:
        HeadraceError: the service cannot be loaded, or as `run_suite`.
    """
    known = await asyncio.to_thread(cache.get, f"served:{declared}") if declared else None
    if known is not None:
        scorers = make_scorers(node, suite, tools)
        try:
            return await run_suite(suite, scorers, _not_kept, cache, release=known.decode())
        except NotKept:
            pass  # something is missing: with the model then
    async with open_service() as platform:
        service = platform.service
        if declared:
            await asyncio.to_thread(cache.put, f"served:{declared}", service.release.encode())
        asking = _with_models(tools, service)
        return await run_suite(
            suite,
            make_scorers(node, suite, asking),
            pipeline_answerer(service, principal),
            cache,
            release=service.release,
            parallel=parallel,
            saw=saw,
        )


async def score_turns(
    node: Node,
    suite: Suite,
    turns: Sequence[LiveTurn],
    open_service: Callable[[], AbstractAsyncContextManager[Platform]],
    *,
    tools: Tools,
    parallel: int,
    saw: Saw,
) -> Run:
    """Score turns as they were answered; the service is opened only if a scorer asks a model.

    Raises: as `run_suite`, and ConfigError for a scorer that needs what a real turn has not.
    """
    live = suite_of(suite, turns)
    scorers = make_scorers(node, live, tools)
    answers = stored_answers(turns)

    async def scored(scorers: Mapping[str, Scorer]) -> Run:
        return await run_suite(
            live, scorers, answers, _KeepsNothing(), release=LIVE, parallel=parallel, saw=saw
        )

    if not any(each.asks for each in scorers.values()):
        return without_texts(await scored(scorers))
    async with open_service() as platform:
        asking = make_scorers(node, live, _with_models(tools, platform.service))
        return without_texts(await scored(asking))


async def embedded(
    texts: Sequence[str], open_service: Callable[[], AbstractAsyncContextManager[Platform]]
) -> "NDArray[np.float32]":
    """The texts as vectors, by the service's embedding model.

    Raises:
        HeadraceError: the service cannot be loaded, or its model not be asked.
    """
    async with open_service() as platform:
        embedder = ModelEmbedder(platform.service.models.get(EMBEDDING))
        await embedder.load()
        return await embedder.embed(texts)


def declared_release(
    root: Path, home: Path, environ: Mapping[str, str], database: Database, vault: Vault
) -> str:
    """What the folder declares, weights included, as far as it is known without starting it.

    Raises:
        ConfigError: a file is wrong.
    """
    config = load_service(root, environ)
    models = ModelBox.build(config, home, environ)
    prompts = PromptLibrary.load(root, environ)
    knowledge = open_knowledge(config, home, models)
    try:
        pipeline = compile_pipeline(
            config,
            models,
            prompts.with_tagged(PromptStore(database).tagged()),
            PolicyLibrary.load(root, environ),
            ConversationStore(database, _Nothing(), vault),
            recorder=_Nothing(),
            unlock=vault.unlock,
            cache=build_cache(read_cache(config.cache), home=home, secret=vault.cache_secret),
            knowledge=knowledge,
            glossary=read_glossary(config, home, environ),
        )
    finally:
        if knowledge is not None:
            knowledge.close()
    weights = declared_weights(config.models, ModelStore(home / "models", root=root))
    here = [(each.model, each.kept.sha256 if each.kept else None) for each in weights]
    data = msgspec.json.encode((pipeline.release, here))
    return hashlib.sha256(data).hexdigest()


def pipeline_answerer(service: Service, principal: Principal) -> Answerer:
    """Asks as a client's chat would, past every cache of answers."""

    async def answer(ask: Ask) -> Answer:
        turn = Turn(
            principal=principal,
            messages=list(ask.messages),
            params=ask.params,
            model=ask.model,
            template=ask.template,
            variables=dict(ask.variables),
            metadata={"purpose": "evaluation"},
            cache_control="no-store, no-cache",
        )
        started = time.perf_counter()
        async with aclosing(service.pipeline.answer(turn)) as deltas:
            async for _ in deltas:
                pass
        return Answer(
            text=turn.choices[0].text if turn.choices else "",
            ttft_s=turn.trace.ttft_s,
            total_s=time.perf_counter() - started,
            cost_usd=turn.trace.cost_usd,
            prompt_tokens=turn.usage.prompt_tokens,
            completion_tokens=turn.usage.completion_tokens,
            sources=[each.text for each in turn.passages or ()],
        )

    return answer


def _with_models(tools: Tools, service: Service) -> Tools:
    embedder = ModelEmbedder(service.models.get(EMBEDDING))
    loading = asyncio.Lock()
    loaded = False

    async def ask(ask: Ask) -> Answer:
        target = service.models.get(ask.model)
        call = Call(ask.messages, ask.params.over(target.params), stream=False)
        async with aclosing(target.ask(call).deltas(lambda model: call)) as deltas:
            return Answer(text="".join([delta.text async for delta in deltas]))

    async def ready() -> Embedder:
        nonlocal loaded
        async with loading:
            if not loaded:
                await embedder.load()
                loaded = True
        return embedder

    return Tools(
        root=tools.root, environ=tools.environ, baseline=tools.baseline, ask=ask, embedder=ready
    )


async def _not_kept(ask: Ask) -> Answer:
    raise NotKept


class _KeepsNothing:
    """Texts of people stay with their traces."""

    def get(self, key: str) -> bytes | None:
        return None

    def put(self, key: str, data: bytes) -> None:
        pass


class _Nothing:
    """Stands where a turn would be recorded: nothing is asked of a pipeline that is only compiled."""

    def started(self, trace: Trace) -> None:
        raise AssertionError(_NO_TURN)

    def record(self, trace: Trace) -> None:
        raise AssertionError(_NO_TURN)

    def escalate(self, trace: Trace, entry: Escalation) -> None:
        raise AssertionError(_NO_TURN)

    def append(self, kind: str, payload: bytes) -> bool:
        raise AssertionError(_NO_TURN)

    async def flush(self) -> None:
        raise AssertionError(_NO_TURN)
