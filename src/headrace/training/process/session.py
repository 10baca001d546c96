"""One training from a job's folder to its result: read, check, estimate, train, export.

Runs in the worker's process, which holds the folder's lock.
"""

import asyncio
import hashlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headrace.models.adapter import Adapter, AdapterStore
from headrace.models.store import ModelStore
from headrace.prompts.library import PromptLibrary
from headrace.training.base import Base, find_base
from headrace.training.card import Card, DataUsed, versions, write_card
from headrace.training.errors import TrainingInvalid
from headrace.training.folder import RESULT, RESULT_FILE, EventLog, read_checkpoints, write_whole
from headrace.training.gguf_file import GgufFile
from headrace.training.job import Job, Result
from headrace.training.memory import Shape
from headrace.training.names import architecture_of
from headrace.training.plan import Plan, plan_of
from headrace.training.prepare import Examples, Prepared, prepare
from headrace.training.private import Reached
from headrace.training.process.checkpoint import (
    ADAPTER_FILE,
    TRAINED,
    Progress,
    load_weights,
    save_weights,
    sync_folder,
)
from headrace.training.process.export import Target, check_mergeable, write_adapter, write_merged
from headrace.training.process.load import device_of, shape_of
from headrace.training.process.loop import Interrupted, Loop
from headrace.training.process.noise import forget_key, people_of, private_of
from headrace.training.process.paid import run_paid
from headrace.training.process.setup import Setup, check_device, machine_of_here
from headrace.training.process.task import task_of
from headrace.training.tongue import open_tongue

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Session"]


class Session:
    """See the module."""

    def __init__(
        self,
        folder: Path,
        job: Job,
        examples: Examples,
        log: EventLog,
        *,
        environ: Mapping[str, str] = os.environ,
        memory_limit: int | None = None,
        asked_to_end: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            memory_limit: bytes that it may take, however much is free.
            asked_to_end: looked at between steps.
        """
        self._folder, self._job, self._log = folder, job, log
        self._examples = examples
        self._spec = job.spec
        self._environ = environ
        self._memory_limit = memory_limit
        self._asked_to_end = asked_to_end
        self._home, self._root = Path(job.home), Path(job.root)
        self._device = device_of()

    def run(self) -> Result:
        """Everything.

        Raises:
            Interrupted: it was asked to end.
            HeadraceError: what was asked cannot be trained; says why, and what to change.
        """
        base = self._checked_base()
        shape = shape_of(base)
        prepared, pad = asyncio.run(self._prepared(base, shape.context_tokens))
        self._report(prepared)
        task = task_of(prepared, self._spec, self._device, pad)
        people = people_of(self._spec, prepared)
        plan = plan_of(self._spec, len(people) or task.rows, has_held_out=task.held_out > 0)
        self._stop_if_asked()
        setup = Setup(
            self._spec,
            base,
            self._device,
            self._log,
            environ=self._environ,
            memory_limit=self._memory_limit,
        )
        if self._spec.ray is not None:
            return self._on_cluster(base, prepared, pad, plan, shape, setup)
        memory = setup.checked_memory(shape, task, plan)
        model = setup.model()
        task.begin(model)
        model = setup.tuned(model)
        if not read_checkpoints(self._folder):
            setup.estimate(model, task, plan, memory)
        self._stop_if_asked()
        private = private_of(self._spec, people, plan, self._folder)
        loop = Loop(
            model, task, self._spec, plan, self._folder, self._log, self._asked_to_end, private
        )
        progress = run_paid(loop, self._job, self._folder, prepared.data, private)
        promised = private.reached(progress.step) if private is not None else None
        outcome = _Outcome(self._folder, self._job, base, plan, prepared, progress, promised)
        return self._exported(outcome, model)

    def _on_cluster(
        self,
        base: Base,
        prepared: Prepared,
        pad: int,
        plan: Plan,
        shape: Shape,
        setup: Setup,
    ) -> Result:
        """The steps elsewhere, the result here."""
        from headrace.training.process.cluster import Order, run_on_cluster

        order = Order.of(self._job, base, prepared, pad, plan, shape)
        progress, machine = run_on_cluster(
            order, base, self._folder, self._log, self._asked_to_end, self._memory_limit
        )
        model = setup.tuned(setup.model())
        load_weights(model, self._folder / TRAINED, is_full=self._spec.tuning == "full")
        outcome = _Outcome(self._folder, self._job, base, plan, prepared, progress, None, machine)
        result = self._exported(outcome, model)
        shutil.rmtree(self._folder / TRAINED, ignore_errors=True)
        return result

    def _exported(self, outcome: "_Outcome", model: "nn.Module") -> Result:
        self._phase("exporting", "writing the adapter")
        result = outcome.write(model)
        forget_key(self._folder)
        return result

    def _phase(self, phase: str, message: str) -> None:
        self._log.add("phase", message, {"phase": phase})

    def _stop_if_asked(self) -> None:
        if self._asked_to_end():
            raise Interrupted

    def _checked_base(self) -> Base:
        """The base; refused early where the job asks for what it cannot have."""
        spec = self._spec
        if spec.ray is None:  # else its workers see to it
            check_device(spec, self._device)
        store = ModelStore(self._home / "models", root=self._root)
        base = find_base(spec.base, store, self._root)
        if (spec.merge or spec.tuning == "full") and base.is_gguf:
            check_mergeable(GgufFile.open(base.path))
        elif spec.merge:
            raise TrainingInvalid(
                "a merged GGUF file is made of a GGUF base, and this one is safetensors",
                hint="leave out merge, or name the GGUF file of the same model",
            )
        return base

    async def _prepared(self, base: Base, context_tokens: int) -> tuple[Prepared, int]:
        def say(text: str) -> None:
            self._log.add("message", text)

        async with open_tongue(base, self._home, self._root) as tongue:
            return await prepare(self._job, self._examples, tongue, context_tokens, say), tongue.end

    def _report(self, prepared: Prepared) -> None:
        for problem in prepared.problems[:100]:
            self._log.add("message", f"left out: {problem}", level="warn")
        for warning in prepared.warnings:
            self._log.add("message", warning, level="warn")


class _Outcome:
    """Writes `result/`."""

    def __init__(
        self,
        folder: Path,
        job: Job,
        base: Base,
        plan: Plan,
        prepared: Prepared,
        progress: Progress,
        promised: Reached | None,
        machine: str = "",
    ) -> None:
        self._folder, self._job, self._base = folder, job, base
        self._promised = promised
        self._machine = machine or machine_of_here()
        self._plan, self._prepared, self._progress = plan, prepared, progress
        self._part = folder / f".{RESULT}.part"

    def write(self, model: "nn.Module") -> Result:
        """The result, whole.

        Raises:
            OSError: the disk is full; nothing is left.
        """
        shutil.rmtree(self._part, ignore_errors=True)
        try:
            self._part.mkdir(mode=0o700)
            result = self._weights(model)
            kept = self._part / (result.adapter or result.model or "")
            self._card(result, kept)
            write_whole(self._part / RESULT_FILE, result)
            sync_folder(self._part)
            if result.adapter is not None:
                self._keep(result, kept)
            self._part.replace(self._folder / RESULT)
        finally:
            shutil.rmtree(self._part, ignore_errors=True)
        return result

    def _weights(self, model: "nn.Module") -> Result:
        spec = self._job.spec
        is_full = spec.tuning == "full"
        inner = "model" if is_full else "adapter"
        weights = self._part / inner
        weights.mkdir()
        save_weights(model, weights, is_full=is_full)
        if not is_full:
            _sort_configuration(weights / "adapter_config.json")
        target = self._target(model)
        file = GgufFile.open(self._base.path) if self._base.is_gguf else None
        gguf_path = merged = None
        if not is_full and target is not None:
            gguf_path = f"{inner}/adapter.gguf"
            write_adapter(weights, self._part / gguf_path, target)
        if file is not None and target is not None and (spec.merge or is_full):
            merged = "merged.gguf"
            write_merged(file, weights, self._part / merged, target, is_full=is_full)
        progress = self._progress
        return Result(
            digest=self._digest(weights, is_full=is_full),
            name=_name(self._job),
            base=spec.base,
            base_sha256=self._base.sha256,
            method=spec.method,
            tuning=spec.tuning,
            adapter=None if is_full else inner,
            gguf=gguf_path,
            merged=merged,
            model=inner if is_full else None,
            trained_tokens=progress.tokens,
            steps=progress.step,
            examples=len(self._prepared.data.rows),
            train_loss=progress.train_loss,
            valid_loss=progress.valid_loss,
            held_out_tokens=sum(each.learned for each in self._prepared.valid),
            held_out_bytes=self._prepared.held_out_bytes,
            wall_s=progress.wall_s,
            energy_wh=progress.energy_wh,
            privacy=self._promised,
            subjects=dict(self._subjects()),
        )

    def _target(self, model: "nn.Module") -> Target | None:
        config = model.config
        architecture = architecture_of(config.model_type)
        if self._base.is_gguf:
            architecture = GgufFile.open(self._base.path).architecture
        if architecture is None:
            return None
        return Target(
            architecture=architecture,
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
        )

    def _digest(self, weights: Path, *, is_full: bool) -> str:
        """Of what decides an answer: the weights, how they are put in, and on what."""
        found = hashlib.sha256(self._base.sha256.encode())
        names = ("model.safetensors",) if is_full else (ADAPTER_FILE, "adapter_config.json")
        for name in names:
            with (weights / name).open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
        return f"sha256:{found.hexdigest()}"

    def _subjects(self) -> Counter[str]:
        rows = self._prepared.data.rows
        return Counter(
            each.example.provenance.subject for each in rows if each.example.provenance.subject
        )

    def _card(self, result: Result, folder: Path) -> None:
        prepared, spec = self._prepared, self._job.spec
        template = ""
        if spec.template:
            template = PromptLibrary.load(Path(self._job.root), {}).get(spec.template).version
        card = Card(
            job=self._job.id,
            created_at=time.time(),
            result=result,
            settings=spec,
            plan=self._plan,
            training_data=DataUsed.of(prepared.data, len(prepared.problems)),
            held_out_data=DataUsed.of(prepared.held_out, 0)
            if prepared.held_out is not None
            else None,
            template=template,
            versions=versions(),
            machine=self._machine,
        )
        write_card(card, folder)

    def _keep(self, result: Result, folder: Path) -> None:
        adapter = Adapter(
            digest=result.digest,
            name=result.name,
            base=result.base,
            base_sha256=result.base_sha256,
            job=self._job.id,
            metadata=self._job.spec.metadata,
        )
        AdapterStore(Path(self._job.home)).put(adapter, folder)


def _sort_configuration(file: Path) -> None:
    """PEFT writes sets as they come: the same adapter must be the same bytes."""
    configuration = msgspec.json.decode(file.read_bytes(), type=dict[str, object])
    targets = configuration.get("target_modules")
    if isinstance(targets, list):
        configuration["target_modules"] = sorted(targets)
    encoded = msgspec.json.encode(configuration, order="sorted")
    file.write_bytes(msgspec.json.format(encoded))


def _name(job: Job) -> str:
    base = job.spec.base.rstrip("/").rpartition("#")[2].rpartition("/")[2].rpartition(":")[2]
    suffix = f":{job.spec.suffix}" if job.spec.suffix else ""
    return f"ft:{base.removesuffix('.gguf')}{suffix}:{job.id[-8:]}"
