"""The folder's own files: headrace.yaml, prompts, policies, and how they fit together."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar, cast

import msgspec

from headrace.config.load import CONFIG_FILE, load_service
from headrace.config.model import ServiceConfig, StepConfig
from headrace.errors import HeadraceError
from headrace.models.box import ModelBox
from headrace.pipeline.compile import compile_pipeline, find_step
from headrace.pipeline.conversation import ConversationStore
from headrace.prompts.library import PromptLibrary
from headrace.prompts.store import PromptStore
from headrace.screening.policy import PolicyLibrary
from headrace.server.doctor.database import is_current
from headrace.server.doctor.result import Result, failure, ok
from headrace.server.doctor.site import Site
from headrace.server.knowledge import open_knowledge, read_glossary
from headrace.server.state import DATABASE_FILE
from headrace.storage.database import Database
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.trace import Trace

__all__ = ["check_files"]

T = TypeVar("T")


def check_files(site: Site) -> Iterator[Result]:
    """Every error that can be told apart: of the file, each model, each step, prompts, policies.

    Only when there is none, what takes all of them together: names that one uses of another.
    """
    errors: list[HeadraceError] = []
    config = _try(errors, lambda: load_service(site.root, site.environ))
    prompts = _try(errors, lambda: _prompts(site))
    policies = _try(errors, lambda: PolicyLibrary.load(site.root, site.environ))
    models = None
    if config is not None:
        models = _models(errors, config, site)
        for entry in config.pipeline:
            _try(errors, partial(_read_settings, entry))
    if not errors and config and models and prompts and policies:
        together = (site, config, models, prompts, policies)
        _try(errors, lambda: _compile(*together))
    yield from (failure("files", error) for error in errors)
    if not errors and config is not None:
        which = "the built-in assistant" if config.builtin else str(site.root / CONFIG_FILE)
        names = f"models {', '.join(config.models)}; {len(config.pipeline)} steps"
        yield ok("files", f"{which}: {names}")


def _try(errors: list[HeadraceError], work: Callable[[], T]) -> T | None:
    try:
        return work()
    except HeadraceError as error:
        errors.append(error)
        return None


def _prompts(site: Site) -> PromptLibrary:
    """The templates, with the released versions if there are any."""
    library = PromptLibrary.load(site.root, site.environ)
    path = site.home / DATABASE_FILE
    if not is_current(path):
        return library  # the checks of the state say what is wrong with it
    database = Database.open(path)
    try:
        return library.with_tagged(PromptStore(database).tagged())
    finally:
        database.close()


def _read_settings(entry: StepConfig) -> msgspec.Struct:
    return entry.settings.convert(find_step(entry)[0].Settings)


def _models(errors: list[HeadraceError], config: ServiceConfig, site: Site) -> ModelBox | None:
    """All models, if each of them can be built; nothing is started."""
    before = len(errors)
    for name in config.models:
        _try(errors, partial(ModelBox.build, config, site.home, site.environ, only=[name]))
    if len(errors) > before:
        return None
    return _try(errors, partial(ModelBox.build, config, site.home, site.environ))


def _compile(
    site: Site,
    config: ServiceConfig,
    models: ModelBox,
    prompts: PromptLibrary,
    policies: PolicyLibrary,
) -> None:
    # Steps only take hold of the store while they are built; nothing is answered or remembered.
    conversations = cast(ConversationStore, object())
    glossary = read_glossary(config, site.home, site.environ)
    knowledge = open_knowledge(config, site.home, models)
    try:
        compile_pipeline(
            config,
            models,
            prompts,
            policies,
            conversations,
            recorder=_Forgetful(),
            unlock=_unlock_nothing,
            knowledge=knowledge,
            glossary=glossary,
        )
    finally:
        if knowledge is not None:
            knowledge.close()


class _Forgetful:
    """A recorder for a pipeline that answers nothing."""

    def started(self, trace: Trace) -> None:
        del trace

    def record(self, trace: Trace) -> None:
        del trace

    def escalate(self, trace: Trace, entry: Escalation) -> None:
        del trace, entry


async def _unlock_nothing(subject: str) -> None:
    del subject
