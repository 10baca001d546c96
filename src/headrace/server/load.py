"""A service from its files: read, checked, its models running, its pipeline compiled."""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from headrace.access.limits.config import read_limits
from headrace.access.limits.limiter import Limiter
from headrace.config.load import load_service
from headrace.models.box import ModelBox
from headrace.models.cache.cache import AnswerCache
from headrace.models.progress import Progress
from headrace.pipeline.compile import compile_pipeline
from headrace.pipeline.conversation import ConversationStore
from headrace.pipeline.embedding import Embedder
from headrace.pipeline.pipeline import Pipeline, Recorder, Unlock
from headrace.pipeline.service import Service
from headrace.pipeline.tools.toolbox import Toolbox
from headrace.prompts.library import PromptLibrary
from headrace.prompts.store import PromptStore
from headrace.releases.channel import served_root
from headrace.screening.policy import PolicyLibrary
from headrace.server.knowledge import open_knowledge, read_glossary
from headrace.server.tuned import tuned_models
from headrace.storage.errors import StateUnusable

__all__ = ["ServiceLoader"]

_log = logging.getLogger(__name__)


class ServiceLoader:
    """Loads the service of one folder, the first time and whenever its files change."""

    def __init__(
        self,
        root: Path,
        home: Path,
        environ: Mapping[str, str],
        *,
        conversations: ConversationStore,
        recorder: Recorder,
        unlock: Unlock,
        limiter: Limiter,
        cache: AnswerCache,
        prompts: PromptStore,
        database: str | None = None,
    ) -> None:
        """
        Args:
            database: the process's `database:`; a release's own is not asked for.
        """
        self.root = root
        self.home = home
        self._prompts = prompts
        self._database = database
        self.environ = environ
        self._home = home
        self._conversations = conversations
        self._recorder = recorder
        self._unlock = unlock
        self._limiter = limiter
        self._cache = cache

    def _versioned(self, prompts: PromptLibrary) -> PromptLibrary:
        """The library with its released versions; those that are new are kept."""
        try:
            self._prompts.keep(prompts.templates())
            return prompts.with_tagged(self._prompts.tagged())
        except SQLAlchemyError as error:
            raise StateUnusable(
                f"the versions of prompt templates cannot be read or kept: {error}",
                hint="`headrace doctor` looks at the database",
            ) from error

    async def load(
        self,
        *,
        reuse: ModelBox | None = None,
        progress: Progress | None = None,
        root: Path | None = None,
    ) -> Service:
        """The service as its files declare it now, with every model answering.

        Args:
            root: the folder of its files; absent: what was deployed, or else the service's own.
            reuse: models that run already; those whose settings have not changed are kept.

        Raises:
            ConfigError: a file is wrong; nothing was started.
            HeadraceError: a model cannot be fetched or started; what was started has ended.
        """
        root = root or served_root(self.root, self.home)
        config = load_service(root, self.environ)
        if config.database != self._database:
            if root == self.root:
                _log.warning("database: in use after the next start")
            config = msgspec.structs.replace(config, database=self._database)
        read_limits(config.limits)
        tuned = await asyncio.to_thread(tuned_models, config, self._home)
        models = ModelBox.build(config, self._home, self.environ, reuse=reuse, tuned=tuned)
        prompts = PromptLibrary.load(root, self.environ)
        prompts = await asyncio.to_thread(self._versioned, prompts)
        policies = PolicyLibrary.load(root, self.environ)

        def compiled() -> Pipeline:
            return compile_pipeline(
                config,
                models,
                prompts,
                policies,
                self._conversations,
                recorder=self._recorder,
                unlock=self._unlock,
                limiter=self._limiter,
                cache=self._cache,
                knowledge=knowledge,
                glossary=glossary,
                toolbox=toolbox,
            )

        # Once before anything is fetched or started, so that a wrong setting is said at once;
        # again if starting taught something that belongs into the release digest.
        glossary = read_glossary(config, self.home, self.environ)
        knowledge = open_knowledge(config, self.home, models)
        with ExitStack() as undo:
            if knowledge is not None:
                undo.callback(knowledge.close)
            toolbox = Toolbox.build(config, knowledge) if config.tools is not None else None
            declared = models.digests()
            pipeline = compiled()
            try:
                await models.start(progress)
                if toolbox is not None:
                    await toolbox.start()
                if models.digests() != declared:
                    pipeline = compiled()
                for step in pipeline.steps:
                    await step.start(self.home)
            except BaseException:
                if toolbox is not None:
                    await toolbox.close()
                # Nothing has asked these models yet, so there is nothing to wait for.
                await (reuse.retire(models, quiet_s=0) if reuse is not None else models.stop())
                raise
            undo.pop_all()
        return Service(
            config=config,
            models=models,
            pipeline=pipeline,
            prompts=prompts,
            knowledge=knowledge,
            tools=toolbox,
            embedder=Embedder(
                models,
                release=pipeline.release,
                recorder=self._recorder,
                unlock=self._unlock,
                limiter=self._limiter,
            ),
            release=pipeline.release,
            loaded_at=time.time(),
        )
