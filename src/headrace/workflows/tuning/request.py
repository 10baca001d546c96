"""What `POST /v1/fine_tuning/jobs` may ask, as a job."""

import importlib.util
import math
import random
import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from headrace.config.model import ServiceConfig
from headrace.errors import InvalidRequest, UnknownModel, did_you_mean
from headrace.ids import new_id
from headrace.models.store import ModelStore
from headrace.training.declared import reference_of
from headrace.training.errors import TrainingInvalid, TrainingUnavailable
from headrace.training.job import Hyperparameters
from headrace.training.plan import MOST_CHECKPOINTS
from headrace.workflows.tuning.job import TuningJob, TuningMethod

__all__ = ["CreateJob", "check_can_train", "new_job"]

_NAMES: Final = {"n_epochs": "epochs", "beta": "dpo_beta"}
"""OpenAI's words for ours; the others are the same."""
_AUTO: Final[Mapping[TuningMethod, tuple[str, ...]]] = {
    "supervised": ("n_epochs", "batch_size", "learning_rate_multiplier"),
    "dpo": ("n_epochs", "batch_size", "learning_rate_multiplier", "beta"),
}
"""What a job shows of each method, `auto` where nothing was asked."""
_MOST: Final[Mapping[str, int]] = {
    "epochs": 100,
    "keep_checkpoints": 10,
    "lora_rank": 128,
    "max_steps": 10_000,
}
"""What a key may ask of a machine and its disk that it shares with others; the command line, whose
they are, may ask more."""
_PACKAGES: Final = ("torch", "transformers", "peft")
_SUFFIX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_ANY_SEED: Final = 1 << 31


class _Asked(msgspec.Struct):
    hyperparameters: dict[str, object] | None = None


class _Method(msgspec.Struct, kw_only=True):
    type: str
    supervised: _Asked | None = None
    dpo: _Asked | None = None


class CreateJob(msgspec.Struct, kw_only=True):
    """Body of `POST /v1/fine_tuning/jobs`."""

    model: str
    training_file: str
    validation_file: str | None = None
    method: _Method | None = None
    hyperparameters: dict[str, object] | None = None
    """The older place of what is in `method` now."""
    suffix: str | None = None
    seed: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    metadata: dict[str, str] | None = None
    integrations: list[object] | None = None


def check_can_train() -> None:
    """
    Raises:
        TrainingUnavailable: the packages that train are not installed; says which to install.
    """
    missing = [each for each in _PACKAGES if importlib.util.find_spec(each) is None]
    if missing:
        raise TrainingUnavailable(
            f"this service cannot train: {', '.join(missing)} is not installed",
            hint="pip install 'headrace[train]' where the service runs, then ask again",
        )


def new_job(
    request: CreateJob,
    config: ServiceConfig,
    store: ModelStore,
    *,
    key_id: str,
    team: str,
    now: float,
) -> TuningJob:
    """The job that is asked for; its files are looked at by whoever runs it.

    Raises:
        InvalidRequest: something that is not offered, with the field at fault.
        UnknownModel: there is no such base.
    """
    method, asked = _method(request)
    shown, parameters = _hyperparameters(method, asked)
    if request.integrations:
        raise InvalidRequest(
            "'integrations' are not offered",
            hint="the events and the result file hold every metric",
            param="integrations",
        )
    if request.suffix and not _SUFFIX.match(request.suffix):
        raise InvalidRequest(
            f"'suffix' is {request.suffix!r}; allowed: up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'",
            param="suffix",
        )
    _check_metadata(request.metadata)
    return TuningJob(
        id=f"ftjob-{new_id()}",
        key_id=key_id,
        team=team,
        model=request.model,
        base=_base(request.model, config, store),
        training_file=request.training_file,
        validation_file=request.validation_file,
        method=method,
        hyperparameters=shown,
        parameters=parameters,
        seed=random.randrange(_ANY_SEED) if request.seed is None else request.seed,  # noqa: S311
        suffix=request.suffix,
        metadata=request.metadata,
        organization=re.sub(r"[^a-z0-9-]+", "-", config.name.lower()).strip("-") or "headrace",
        created_at=now,
    )


def _method(request: CreateJob) -> tuple[TuningMethod, Mapping[str, object]]:
    method = request.method
    if method is None or method.type == "supervised":
        asked = method.supervised if method is not None else None
        found = (asked.hyperparameters if asked is not None else None) or request.hyperparameters
        return "supervised", found or {}
    if method.type == "dpo":
        return "dpo", (method.dpo.hyperparameters if method.dpo is not None else None) or {}
    raise InvalidRequest(
        f"the method {method.type!r} is not offered; allowed: supervised, dpo", param="method.type"
    )


def _hyperparameters(
    method: TuningMethod, asked: Mapping[str, object]
) -> tuple[dict[str, object], dict[str, object]]:
    """What was asked, as it is shown and as the trainer takes it."""
    shown: dict[str, object] = {**dict.fromkeys(_AUTO[method], "auto"), **asked}
    taken: dict[str, object] = {}
    at = f"method.{method}.hyperparameters"
    known = {each.encode_name for each in msgspec.structs.fields(Hyperparameters)}
    for name, value in asked.items():
        ours = _NAMES.get(name, name)
        if ours not in known or (name not in _AUTO[method] and name in ("beta", "dpo_beta")):
            names = [*_AUTO[method], *known]
            raise InvalidRequest(
                f"unknown hyperparameter {name!r}",
                hint=did_you_mean(name, names, kind="hyperparameters"),
                param=f"{at}.{name}",
            )
        if value in ("auto", None):
            continue
        most = _MOST.get(ours)
        if most is not None and isinstance(value, int) and value > most:
            raise InvalidRequest(
                f"'{name}' is {value:,}; allowed: at most {most:,}", param=f"{at}.{name}"
            )
        try:
            msgspec.convert({ours: value}, Hyperparameters)
        except msgspec.ValidationError as error:
            raise InvalidRequest(
                f"'{name}' is {value!r}: {str(error).partition(' - at')[0]}", param=f"{at}.{name}"
            ) from error
        taken[ours] = value
    _check_interval(taken, at)
    return shown, taken


def _check_interval(taken: Mapping[str, object], at: str) -> None:
    """How far checkpoints must be apart where it is known; else the trainer widens it."""
    steps, every = taken.get("max_steps"), taken.get("checkpoint_every")
    if not (isinstance(steps, int) and isinstance(every, int)):
        return
    least = math.ceil(steps / MOST_CHECKPOINTS)
    if every < least:
        raise InvalidRequest(
            f"'checkpoint_every' is {every:,}; allowed: at least {least:,} for {steps:,} steps",
            param=f"{at}.checkpoint_every",
        )


def _base(name: str, config: ServiceConfig, store: ModelStore) -> str:
    declared = config.models.get(name)
    if name.startswith("ft:") or (declared is not None and declared.adapter is not None):
        raise InvalidRequest(
            f"the model {name!r} has an adapter already, and a second one is not trained on it",
            hint="train its base model, with the examples of both",
            param="model",
        )
    if declared is None:
        raise UnknownModel.named(name, config.models)
    try:
        return reference_of(name, config, store)
    except TrainingInvalid as error:
        raise InvalidRequest(error.message, hint=error.hint, param="model") from error


def _check_metadata(metadata: dict[str, str] | None) -> None:
    for key, value in (metadata or {}).items():
        if len(key) > 64 or len(value) > 512:
            raise InvalidRequest(
                f"the metadata {key[:64]!r} is too long; allowed: 64 characters for a key, 512 for "
                "a value",
                param="metadata",
            )
    if len(metadata or {}) > 16:
        raise InvalidRequest("'metadata' has more than 16 entries", param="metadata")
