"""From `headrace.yaml` to a pipeline that runs: find each step, read its settings, build it."""

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import TypeAlias

import msgspec
from headrace.pipeline.conversation import ConversationStore
from headrace.prompts.library import PromptLibrary

from headrace import __version__
from headrace.config.model import ServiceConfig, StepConfig
from headrace.errors import ConfigError, HeadraceError, did_you_mean
from headrace.models.box import ModelBox
from headrace.pipeline.pipeline import Pipeline, Recorder, Unlock
from headrace.pipeline.step import BuildContext, Settings, Step
from headrace.screening.policy import PolicyLibrary

__all__ = ["compile_pipeline", "step_types"]

AnyStep: TypeAlias = Step[Settings]


@cache
def step_types() -> Mapping[str, tuple[type[AnyStep], str]]:
    """Every installed step by name, with the distribution and version that brought it.

    Raises:
        ConfigError: a step's package cannot be imported, or two packages claim one name.
    """
    found: dict[str, tuple[type[AnyStep], str]] = {}
    for entry in entry_points(group="headrace.steps"):
        source = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown package"
        try:
            step = entry.load()
        except Exception as error:
            raise ConfigError(
                f"the step {entry.name!r} of {source} cannot be loaded: {error}",
                hint=f"mend or remove the package; its entry point is {entry.value!r}",
            ) from error
        if entry.name in found and found[entry.name][0] is not step:
            raise ConfigError(
                f"two packages bring a step named {entry.name!r}: {found[entry.name][1]} and {source}",
                hint="remove one of them, or rename the entry point in your own package",
            )
        found[entry.name] = (step, source)
    return found


def compile_pipeline(
    config: ServiceConfig,
    models: ModelBox,
    prompts: PromptLibrary,
    policies: PolicyLibrary,
    conversations: ConversationStore,
    *,
    recorder: Recorder,
    unlock: Unlock,
) -> Pipeline:
    """Build every step in order and digest what they will do.

    Raises:
        ConfigError: an unknown step, wrong settings, no `generate` or more than one.
    """
    at = _generate_position(config)
    steps: list[AnyStep] = []
    described: list[dict[str, object]] = []
    for position, entry in enumerate(config.pipeline):
        kind, source = _find(entry)
        settings = entry.settings.convert(kind.Settings)
        context = BuildContext(
            root=config.root,
            before_generate=position < at,
            models=models,
            prompts=prompts,
            policies=policies,
            conversations=conversations,
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
    release = _digest({"headrace": __version__, "models": models.digests(), "pipeline": described})
    return Pipeline(steps, models, release=release, recorder=recorder, unlock=unlock)


def _find(entry: StepConfig) -> tuple[type[AnyStep], str]:
    types = step_types()
    if entry.name not in types:
        raise entry.settings.error(
            f"pipeline: no step is called {entry.name!r}",
            hint=did_you_mean(entry.name, types.keys(), kind="steps"),
        )
    return types[entry.name]


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
