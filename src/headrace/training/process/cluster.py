"""A training on a Ray cluster, from the process that holds the job's folder.

Ray Train starts the workers, sets up their process group, and starts all of them again when one is
lost. What they need goes through Ray's object store, what they made comes back over the desk.
"""

import shutil
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import msgspec
import ray
import ray.train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from headrace import __version__
from headrace.training.base import Base
from headrace.training.cluster import RayCluster
from headrace.training.data import Data
from headrace.training.errors import TrainingFailed, TrainingUnavailable
from headrace.training.folder import CHECKPOINTS, EventLog, read_checkpoints
from headrace.training.job import FineTune, Job
from headrace.training.memory import Shape
from headrace.training.plan import Plan
from headrace.training.prepare import Prepared
from headrace.training.process.checkpoint import TRAINED, Progress, prune, sync_folder
from headrace.training.process.desk import (
    Broken,
    Desk,
    Kept,
    Note,
    Paused,
    Told,
    Trained,
    packed,
    unpacked,
)
from headrace.training.process.loop import Interrupted
from headrace.training.process.member import train

__all__ = ["Order", "run_on_cluster"]

BLOCK = 256 * 2**20
LOOK_EVERY_S = 0.3
STORAGE = ".ray"
"""In the folder: what Ray Train notes of a run; nothing is kept there."""


@dataclass(slots=True)
class Order:
    """All that a worker needs. Large things are references into Ray's object store."""

    job_id: str
    spec: FineTune
    plan: Plan
    shape: Shape
    pad: int
    base_name: str
    base_sha256: str
    version: str
    memory_limit: int | None = None
    prepared: "ray.ObjectRef[Prepared] | Prepared | None" = field(default=None, repr=False)
    files: "list[tuple[str, list[ray.ObjectRef[bytes]]]]" = field(default_factory=list, repr=False)
    """The base's, each in blocks."""

    @classmethod
    def of(
        cls, job: Job, base: Base, prepared: Prepared, pad: int, plan: Plan, shape: Shape
    ) -> Self:
        # Tokens alone: words, people and the database stay here.
        tokens = replace(prepared, data=Data("", ""), held_out=None, problems=[], warnings=[])
        name = base.path.name
        return cls(
            job.id, job.spec, plan, shape, pad, name, base.sha256, __version__, prepared=tokens
        )

    def put(self, base: Base) -> None:
        """Lay the large things into the object store."""
        self.prepared = ray.put(self.prepared)
        paths = [base.path] if base.is_gguf else [p for p in base.path.iterdir() if p.is_file()]
        for path in paths:
            inner = path.name if base.is_gguf else f"{base.path.name}/{path.name}"
            self.files.append((inner, [ray.put(block) for block in _blocks(path)]))

    def deliver(self, folder: Path) -> None:
        """Write the base's files below a folder of this machine."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for name, blocks in self.files:
            path = folder / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with path.open("wb") as file:
                for block in blocks:
                    file.write(ray.get(block))


def _blocks(path: Path) -> "Sequence[bytes]":
    with path.open("rb") as file:
        return list(iter(lambda: file.read(BLOCK), b""))


def run_on_cluster(
    order: Order,
    base: Base,
    folder: Path,
    log: EventLog,
    asked_to_end: Callable[[], bool],
    memory_limit: int | None,
) -> tuple[Progress, str]:
    """Train; gives how it ended, and on what. The weights are in `folder/TRAINED` then.

    Raises:
        Interrupted: it was asked to end; there is a checkpoint of the last step.
        TrainingUnavailable: there is no such cluster, or it is too small.
        TrainingFailed: the training broke off, or workers were lost too often.
    """
    cluster = order.spec.ray
    assert cluster is not None
    order.memory_limit = memory_limit
    _connect(cluster.address)
    try:
        log.add("message", _checked_room(cluster))
        order.put(base)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        desk = Desk.options(num_cpus=0, scheduling_strategy=here).remote(_earlier(folder))
        return _Run(order, desk, folder, log).watched(asked_to_end)
    finally:
        ray.shutdown()
        shutil.rmtree(folder / STORAGE, ignore_errors=True)


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        if port.isdigit():  # Ray itself would try for a minute
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address, log_to_driver=True, logging_level="warning")
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise TrainingUnavailable(
            f"there is no Ray cluster at {address!r} that this machine can use: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}",
            hint="`ray start --head` on one machine, `ray start --address=HOST:PORT` on the others "
            "and on this one; then ray: {address: auto}",
        ) from error


def _checked_room(cluster: RayCluster) -> str:
    """What the cluster has, in words.

    Raises:
        TrainingUnavailable: the workers do not fit.
    """
    nodes = [each["Resources"] for each in ray.nodes() if each["Alive"]]
    needs = {name: need for name, need in cluster.needs().items() if need}
    fitting = sum(_fitting(each, needs) for each in nodes)
    shown = ", ".join(
        f"{sum(each.get(name, 0.0) for each in nodes):g} {name}" for name in (needs or {"CPU": 0})
    )
    asked = ", ".join(f"{need:g} {name}" for name, need in needs.items())
    if fitting < cluster.num_workers:
        raise TrainingUnavailable(
            f"{cluster.num_workers} workers with {asked} each are asked for, and the cluster "
            f"({len(nodes)} nodes with {shown}) has room for {fitting}",
            hint=f"num_workers: {fitting}, or more nodes" if fitting else "more or larger nodes",
        )
    return f"{cluster.num_workers} workers on a Ray cluster of {len(nodes)} nodes ({shown})"


def _fitting(node: dict[str, float], needs: dict[str, float]) -> int:
    return min((int(node.get(name, 0.0) // need) for name, need in needs.items()), default=2**20)


def _earlier(folder: Path) -> list[Kept]:
    """The newest checkpoint of earlier starts, and the best."""
    found = read_checkpoints(folder)
    if not found:
        return []
    newest = Path(found[-1].path)
    best = msgspec.json.decode((newest / "progress.json").read_bytes(), type=Progress).best_step
    return [
        Kept(each.step, best, packed(Path(each.path)))
        for each in found
        if each.step in (best, found[-1].step)
    ]


class _Run:
    """Ray Train at work in a thread, and what comes over the desk meanwhile."""

    def __init__(
        self, order: Order, desk: "ray.actor.ActorHandle", folder: Path, log: EventLog
    ) -> None:
        self._order, self._desk, self._folder, self._log = order, desk, folder, log
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._fit, name="ray-train", daemon=True)

    def _fit(self) -> None:
        cluster = self._order.spec.ray
        assert cluster is not None
        storage = self._folder / STORAGE
        trainer = TorchTrainer(
            train,
            train_loop_config={"order": self._order, "desk": self._desk},
            scaling_config=ScalingConfig(
                num_workers=cluster.num_workers,
                use_gpu=cluster.use_gpu,
                resources_per_worker=cluster.needs(),
                placement_strategy="SPREAD",
            ),
            run_config=RunConfig(
                name=self._order.job_id,
                storage_path=str(storage),
                failure_config=FailureConfig(max_failures=cluster.max_failures),
            ),
        )
        try:
            trainer.fit()
        except Exception as error:  # noqa: BLE001  # told where it is waited for
            self._error = error

    def watched(self, asked_to_end: Callable[[], bool]) -> tuple[Progress, str]:
        """Write down what comes, until the end."""
        self._thread.start()
        try:
            return self._written(asked_to_end)
        finally:
            # Ray must not be shut down under it. All workers end by themselves, whatever came.
            self._thread.join()

    def _written(self, asked_to_end: Callable[[], bool]) -> tuple[Progress, str]:
        is_told = False
        while True:
            is_over = not self._thread.is_alive()
            for note in ray.get(self._desk.take.remote()):
                if isinstance(note, Trained):
                    return self._ended(note)
                self._take(note)
            if is_over:
                raise TrainingFailed(
                    f"the workers on the cluster broke off: {_first_line(self._error)}",
                    hint="log.txt in the job's folder has the details; resume goes on from the last "
                    "checkpoint",
                ) from self._error
            if asked_to_end() and not is_told:
                self._desk.end.remote()
                is_told = True
            self._thread.join(LOOK_EVERY_S)

    def _take(self, note: Note) -> None:
        match note:
            case Told():
                self._log.add(note.type, note.message, note.data, level=note.level)
            case Kept():
                self._keep(note)
            case Paused():
                raise Interrupted
            case Broken():
                raise note.error

    def _keep(self, kept: Kept) -> None:
        parent = self._folder / CHECKPOINTS
        part, target = parent / f".step-{kept.step}.part", parent / f"step-{kept.step}"
        shutil.rmtree(part, ignore_errors=True)
        try:
            unpacked(kept.files, part)
            sync_folder(part)
            shutil.rmtree(target, ignore_errors=True)
            part.replace(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        keep = self._order.spec.parameters.keep_checkpoints
        prune(self._folder, keep=keep, best_step=kept.best_step)

    def _ended(self, trained: Trained) -> tuple[Progress, str]:
        shutil.rmtree(self._folder / TRAINED, ignore_errors=True)
        unpacked(trained.files, self._folder / TRAINED)
        return msgspec.json.decode(trained.progress, type=Progress), trained.machine


def _first_line(error: Exception | None) -> str:
    """Of the innermost reason that there is."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
