"""One of the workers on a cluster: what Ray Train calls on each, on whatever machine it is.

Every start is the same, the first and one after a node was lost: weights and tokens come out of
Ray's object store, checkpoints from the desk, and the loop goes on from the newest.
"""

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import ray
import ray.train.torch
from torch import distributed

from headrace import __version__
from headrace.errors import HeadraceError
from headrace.training.base import Base
from headrace.training.errors import TrainingUnavailable
from headrace.training.folder import CHECKPOINTS
from headrace.training.job import EventType, Level
from headrace.training.process.checkpoint import Progress, save_weights
from headrace.training.process.desk import (
    Broken,
    Kept,
    Note,
    Paused,
    Told,
    Trained,
    packed,
    unpacked,
)
from headrace.training.process.loop import Interrupted, Loop
from headrace.training.process.peers import Group
from headrace.training.process.setup import Setup, check_device, machine_of_here
from headrace.training.process.task import task_of

if TYPE_CHECKING:
    from headrace.training.process.cluster import Order

__all__ = ["train"]


class _Relay:
    """The job's events, of the first worker; another's are the same, and go nowhere."""

    def __init__(self, member: "_Member") -> None:
        self._member = member

    def add(
        self,
        type: EventType,  # noqa: A002 - the event's own word
        message: str,
        data: dict[str, str | int | float | bool | None] | None = None,
        *,
        level: Level = "info",
    ) -> None:
        self._member.put(Told(type, message, data or {}, level))


def train(config: dict[str, object]) -> None:
    """Ray Train's `train_loop_per_worker`."""
    order: Order = config["order"]  # type: ignore[assignment]  # Ray's is a dict of anything
    member = _Member(order, config["desk"])
    try:
        member.run()
    except Interrupted:
        member.put(Paused())
    except HeadraceError as error:
        # Whoever of them met it: it would be met again. Those that wait for this one's numbers are
        # ended by Ray Train, which starts all anew; and they see that it is over.
        member.put(Broken(error), from_any=True)
        raise


class _Member:
    """See the module."""

    def __init__(self, order: "Order", desk: object) -> None:
        self._order, self._desk = order, desk
        self._device = ray.train.torch.get_device()
        self._peers = Group(self._device)

    def put(self, note: Note, *, from_any: bool = False) -> None:
        """Lay a note on the desk; it is there when this returns."""
        if from_any or self._peers.rank == 0:
            ray.get(self._desk.put.remote(note))  # type: ignore[attr-defined]  # an actor's

    def run(self) -> None:
        """The whole of it.

        Raises:
            Interrupted, HeadraceError: as `Loop.run`, and what this machine lacks.
        """
        order = self._order
        if ray.get(self._desk.is_over.remote()):  # type: ignore[attr-defined]
            return
        if order.version != __version__:
            raise TrainingUnavailable(
                f"a node of the cluster has headrace {__version__}, not {order.version}",
                hint=f"pip install 'headrace[train,ray]=={order.version}' on every node",
            )
        check_device(order.spec, self._device)
        node = ray.get_runtime_context().get_node_id()
        shared = Path(tempfile.gettempdir()) / f"headrace-{order.job_id}-{node[:16]}"
        nodes: list[str] = [""] * self._peers.size
        distributed.all_gather_object(nodes, node)
        is_first = nodes.index(node) == self._peers.rank  # of this node
        own = Path(tempfile.mkdtemp(prefix="headrace-"))
        try:
            if is_first:
                order.deliver(shared)
            distributed.barrier()
            self._train(Base(order.spec.base, shared / order.base_name, order.base_sha256), own)
        finally:
            shutil.rmtree(own, ignore_errors=True)
            if is_first:  # loaded by all, or nobody's any more
                shutil.rmtree(shared, ignore_errors=True)

    def _train(self, base: Base, folder: Path) -> None:
        order, spec, relay = self._order, self._order.spec, _Relay(self)
        kept: list[Kept] = ray.get(self._desk.kept.remote())  # type: ignore[attr-defined]
        for each in kept:
            unpacked(each.files, folder / CHECKPOINTS / f"step-{each.step}")
        prepared = ray.get(order.prepared)
        task = task_of(prepared, spec, self._device, order.pad)
        setup = Setup(
            spec, base, self._device, relay, environ=os.environ, memory_limit=order.memory_limit
        )
        memory = setup.checked_memory(order.shape, task, order.plan)
        model = setup.model()
        task.begin(model)
        model = setup.tuned(model)
        if not kept and self._peers.rank == 0:
            setup.estimate(model, task, order.plan, memory)
        machine = self._machine()
        loop = Loop(
            model,
            task,
            spec,
            order.plan,
            folder,
            relay,
            self._is_ending,
            peers=self._peers,
            kept=self._keep,
        )
        progress = loop.run()
        if self._peers.rank == 0:
            weights = folder / "trained"
            weights.mkdir()
            save_weights(model, weights, is_full=spec.tuning == "full")
            self.put(Trained(msgspec.json.encode(progress), packed(weights), machine))

    def _keep(self, path: Path, progress: Progress) -> None:
        self.put(Kept(progress.step, progress.best_step, packed(path)))

    def _is_ending(self) -> bool:
        if self._peers.rank != 0:
            return False  # the first one's word counts for all
        return bool(ray.get(self._desk.is_ending.remote()))  # type: ignore[attr-defined]

    def _machine(self) -> str:
        """All machines, for the card."""
        found: list[str] = [""] * self._peers.size
        here = f"{machine_of_here()} (node {ray.get_runtime_context().get_node_id()[:8]})"
        distributed.all_gather_object(found, here)
        machines = ", ".join(f"{count} on {each}" for each, count in Counter(found).items())
        return f"{self._peers.size} workers of Ray {ray.__version__}: {machines}"
