"""From `headrace.yaml` to a pipeline that runs: find each step, read its settings, build it."""

import hashlib
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeAlias

import msgspec

from headrace import __version__
from headrace.access.limits.limiter import Limiter
from headrace.config.model import ServiceConfig, StepConfig
from headrace.errors import ConfigError, HeadraceError, did_you_mean
from headrace.knowledge.entities.link import EntityLinker
from headrace.knowledge.entities.settings import Glossary
from headrace.knowledge.passage import Retriever
from headrace.models.box import ModelBox
from headrace.models.builder import EMBEDDING
from headrace.models.cache.build import check_cache
from headrace.models.cache.cache import AnswerCache
from headrace.models.embedder import ModelEmbedder
from headrace.pipeline.conversation import ConversationStore
from headrace.pipeline.pipeline import Pipeline, Recorder, Unlock
from headrace.pipeline.step import BuildContext, Settings, Step
from headrace.pipeline.tools.toolbox import Toolbox
from headrace.prompts.library import PromptLibrary
from headrace.screening.policy import PolicyLibrary

__all__ = ["compile_pipeline", "find_step", "step_names", "step_type", "step_types"]

AnyStep: TypeAlias = Step[Settings]


@cache
def _entries() -> Mapping[str, EntryPoint]:
    """Where each installed step is, by name.

    Raises:
        ConfigError: two packages claim one name.
    """
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group="headrace.steps"):
        known = found.setdefault(entry.name, entry)
        if known.value != entry.value:
            raise ConfigError(
                f"two packages bring a step named {entry.name!r}: {_source(known)} and "
                f"{_source(entry)}",
                hint="remove one of them, or rename the entry point in your own package",
            )
    return found


def step_names() -> Collection[str]:
    """The names of all installed steps."""
    return _entries().keys()


@cache
def step_type(name: str) -> tuple[type[AnyStep], str]:
    """An installed step, with the distribution and version that brought it.

    Only steps that are asked for are imported: a broken package that a service does not use must
    not keep it from starting (`headrace doctor` names it).

    Raises:
        ConfigError: the step's package cannot be imported.
        KeyError: no step has that name.
    """
    entry = _entries()[name]
    try:
        return entry.load(), _source(entry)
    except Exception as error:
        raise ConfigError(
            f"the step {name!r} of {_source(entry)} cannot be loaded: {error}",
            hint=f"mend or remove the package; its entry point is {entry.value!r}",
        ) from error


def step_types() -> Mapping[str, tuple[type[AnyStep], str]]:
    """Every installed step by name; raises ConfigError for the first that cannot be loaded."""
    return {name: step_type(name) for name in step_names()}


def _source(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown package"


def compile_pipeline(
    config: ServiceConfig,
    models: ModelBox,
    prompts: PromptLibrary,
    policies: PolicyLibrary,
    conversations: ConversationStore,
    *,
    recorder: Recorder,
    unlock: Unlock,
    limiter: Limiter | None = None,
    cache: AnswerCache | None = None,
    knowledge: Retriever | None = None,
    glossary: Glossary | None = None,
    toolbox: Toolbox | None = None,
) -> Pipeline:
    """Build every step in order and digest what they will do.

    Args:
        toolbox: the service's tools; None: those that its files declare, none of them started.

    Raises:
        ConfigError: an unknown step, wrong settings, no `generate` or more than one.
    """
    at = _generate_position(config)
    semantic = check_cache(config.cache, models).semantic
    # Dates are read without a glossary, too.
    entities = EntityLinker(glossary) if glossary is not None else None
    if toolbox is None and config.tools is not None:
        toolbox = Toolbox.build(config, knowledge)
    steps: list[AnyStep] = []
    described: list[dict[str, object]] = []
    for position, entry in enumerate(config.pipeline):
        kind, source = find_step(entry)
        settings = entry.settings.convert(kind.Settings)
        context = BuildContext(
            root=config.root,
            before_generate=position < at,
            models=models,
            prompts=prompts,
            policies=policies,
            conversations=conversations,
            cache=cache,
            knowledge=knowledge,
            entities=entities,
            embedder=ModelEmbedder(models.get(EMBEDDING)),
            toolbox=toolbox,
            later=tuple(each.name for each in config.pipeline[position + 1 :]),
        )
        try:
            step = kind.build(settings, context)  # type: ignore[arg-type]  # its own Settings
        except ConfigError:
            raise
        except HeadraceError as error:
            raise entry.settings.error(error.message, hint=error.hint) from error
        steps.append(step)
        described.append(
            {"step": entry.name, "from": source, "settings": settings, "uses": step.digest_inputs()}
        )
    decides: dict[str, object] = {
        "headrace": __version__,
        "models": models.digests(),
        "pipeline": described,
    }
    if semantic is not None:
        # How near is near enough decides what is answered.
        decides["cache"] = {
            "model": semantic.model,
            "serves": models.get(semantic.model).describe(),
            "threshold": semantic.threshold,
        }
    if glossary is not None and glossary.version:
        decides["entities"] = glossary.version
    if toolbox is not None:
        decides["tools"] = toolbox.digest_inputs
    if knowledge is not None:
        decides["knowledge"] = knowledge.version
    release = _digest(decides)
    return Pipeline(
        steps, models, release=release, recorder=recorder, unlock=unlock, limiter=limiter
    )


def find_step(entry: StepConfig) -> tuple[type[AnyStep], str]:
    """The step that an entry of `pipeline:` names, with the distribution that brought it.

    Raises:
        ConfigError: there is none of that name, or it cannot be loaded.
    """
    if entry.name not in step_names():
        raise entry.settings.error(
            f"no step is called {entry.name!r}",
            hint=did_you_mean(entry.name, step_names(), kind="steps"),
        )
    return step_type(entry.name)


def _generate_position(config: ServiceConfig) -> int:
    positions = [i for i, entry in enumerate(config.pipeline) if entry.name == "generate"]
    if len(positions) == 1:
        return positions[0]
    if not positions:
        raise ConfigError(
            "pipeline: there is no `generate` step, so nothing would answer",
            hint="add `- generate` after the steps that prepare the prompt",
        )
    raise config.pipeline[positions[1]].settings.error(
        "pipeline: `generate` stands here a second time", hint="keep one of them"
    )


def _digest(what: object) -> str:
    """SHA-256 over canonical JSON (sorted keys), as `sha256:…`."""
    return "sha256:" + hashlib.sha256(msgspec.json.encode(what, order="sorted")).hexdigest()
