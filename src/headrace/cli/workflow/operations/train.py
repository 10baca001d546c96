"""`train`: a fine-tune, from examples to an adapter in the store."""

import os
import time
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from headrace.cli.place import Place
from headrace.cli.train.place import raise_failure, trainer_of
from headrace.cli.train.recipe import Recipe
from headrace.datasets.store import DatasetStore
from headrace.errors import NotFound
from headrace.models.adapter import AdapterStore
from headrace.privacy.vault import Vault
from headrace.training.declared import base_of
from headrace.training.job import FineTune, Job, JobState
from headrace.training.trainer import Trainer
from headrace.workflows.artifact import digest_of
from headrace.workflows.errors import StepFailed, StepStopped
from headrace.workflows.operation import Context, Operation

__all__ = ["Train"]

LOOK_EVERY_S = 0.5
_KEY = "workflow_step"
_DATASET = "dataset:"


class Train(Operation):
    """Trains an adapter; killed, it goes on from its last checkpoint. Needs the extra `train`."""

    Settings = Recipe
    """As a recipe of `headrace train run`: `training`, `base`, `parameters`, `seed`…"""
    returns: ClassVar[tuple[str, ...]] = (
        "adapter", "digest", "name", "job", "steps", "train_loss", "valid_loss", "folder",
    )  # fmt: skip
    runs_apart = True

    def outside(self, settings: msgspec.Struct, context: Context) -> str:
        """The data itself: a name may mean another version by now, and a file be another."""
        assert isinstance(settings, Recipe)
        sources = (settings.training, settings.validation or "", *settings.evaluations)
        return "\n".join(_content(each, context) for each in sources)

    def still_holds(self, values: Mapping[str, object], context: Context) -> bool:
        """An adapter may have been deleted, with the person that it learned from."""
        try:
            AdapterStore(context.home).get(str(values["digest"]))
        except NotFound:
            return False
        return True

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, Recipe)
        place = Place(context.root, context.home)
        trainer = trainer_of(place)
        job = _begun(trainer, context) or trainer.create(_spec(settings, place, context))
        try:
            state = _watched(trainer, job, context)
        except StepStopped:
            trainer.cancel(job.id)
            raise
        if state.error is not None:
            raise_failure(state.error)
        if state.result is None:
            raise StepFailed(f"the fine-tune {job.id} is {state.status}")
        result = state.result
        return {
            "adapter": f"registry:{result.digest}",
            "digest": result.digest,
            "name": result.name,
            "job": job.id,
            "steps": result.steps,
            "train_loss": result.train_loss,
            "valid_loss": result.valid_loss,
            "folder": str(trainer.folder(job.id) / "result"),
        }


def _spec(recipe: Recipe, place: Place, context: Context) -> FineTune:
    fields = {name: getattr(recipe, name) for name in FineTune.__struct_fields__}
    fields["base"] = base_of(recipe.base, place.root, place.home)
    fields["metadata"] = {**recipe.metadata, _KEY: context.key}
    return FineTune(**fields)


def _begun(trainer: Trainer, context: Context) -> Job | None:
    """The fine-tune that this step began before it was killed."""
    for job in trainer.jobs():
        if job.spec.metadata.get(_KEY) == context.key:
            ended = trainer.state(job.id).status in ("cancelled", "failed")
            return None if ended else job
    return None


def _watched(trainer: Trainer, job: Job, context: Context) -> JobState:
    """Its state once it has ended, started again whenever its process is gone."""
    while True:
        state = trainer.state(job.id)
        if state.status in ("queued", "stopped"):
            trainer.start(job.id)
        elif state.status != "running":
            return state
        context.say(_said(state))
        time.sleep(LOOK_EVERY_S)


def _said(state: JobState) -> str:
    total = "" if state.total_steps is None else f" of {state.total_steps}"
    loss = "" if state.train_loss is None else f", loss {state.train_loss:.3f}"
    left = "" if state.remaining_s is None else f", {state.remaining_s:.0f} s left"
    return f"{state.phase or state.status}: step {state.step}{total}{loss}{left}"


def _content(source: str, context: Context) -> str:
    if source.startswith(_DATASET):
        database = context.database()
        vault = Vault.open(database, context.home, environ=os.environ)
        reference, _, split = source.removeprefix(_DATASET).partition("#")
        found = DatasetStore(database, vault, context.home).get(reference)
        return f"{found.digest}#{split}"
    path = context.root / source
    return digest_of(path)[0] if source and path.is_file() else source
