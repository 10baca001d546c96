"""Training on a Ray cluster: two nodes of a real one, on this machine."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from headrace.training.folder import RESULT, current_events, read_checkpoints, read_events
from headrace.training.trainer import Trainer
from tests.training.conftest import MakeJob, Work

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

# Ray, transformers and PEFT warn of their own and one another's doings.
pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("default"),
    pytest.mark.timeout(480),
    pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`"),
]

RATE = 0.02
T = TypeVar("T")


@pytest.fixture(scope="module")
def cluster() -> Iterator["Cluster"]:
    """A head with two CPUs and a node with one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # it listens on this machine alone
        patch.setenv("RAY_worker_niceness", "0")  # 15 without, which waits for other tests
        patch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "300")
        from ray.cluster_utils import Cluster

        found = started(lambda: Cluster(initialize_head=True, head_node_args=small(2)))
        try:
            started(lambda: found.add_node(**small(1)))
            yield found
        finally:
            found.shutdown()


def started(start: Callable[[], T]) -> T:
    """Ray gives a node 30 seconds to come up, which a busy machine may take for its imports."""
    for _ in range(4):
        try:
            return start()
        except Exception as error:  # Ray raises just that
            if "timed out during startup" not in str(error):
                raise
    return start()


def small(cpus: int) -> dict[str, object]:
    """Settings of a node. A port that is not named is waited for, fifteen seconds at most."""
    agents = (
        "metrics_agent_port",
        "metrics_export_port",
        "dashboard_agent_listen_port",
        "runtime_env_agent_port",
    )
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("", 0))) for _ in agents]
        ports = {name: each.getsockname()[1] for name, each in zip(agents, sockets, strict=True)}
    quiet = {"include_dashboard": False, "include_log_monitor": False}
    return {"num_cpus": cpus, "object_store_memory": 150_000_000, **quiet, **ports}


def adapter(trainer: Trainer, job_id: str) -> Path:
    return trainer.folder(job_id) / RESULT / "adapter" / "adapter_model.safetensors"


def test_two_workers_take_the_steps_of_one_and_go_on_when_a_node_is_lost(
    make_job: MakeJob, do: Work, trainer: Trainer, tiny: Path, cluster: "Cluster"
) -> None:
    import torch
    from safetensors.torch import load_file

    settings = {
        "base": f"file:{tiny}",
        "max_steps": 200,
        "batch_size": 3,  # one row more for the first worker
        "learning_rate": RATE,
        "checkpoint_every": 5,
        "keep_checkpoints": 100,
        "validation_share": 0.3,
    }
    alone = make_job(**settings)
    do(alone)
    ray = {"address": cluster.address, "num_workers": 2, "resources_per_worker": {"CPU": 1}}
    shared = make_job(**settings, ray=ray)
    folder = trainer.folder(shared.id)
    killer = threading.Thread(target=kill_a_node, args=(cluster, folder), daemon=True)
    killer.start()
    state = do(shared)
    assert state.status == "succeeded", state.error
    assert not killer.is_alive()
    starts = [
        each.data["from_step"]
        for each in read_events(folder)
        if each.data.get("phase") == "training"
    ]
    assert starts[0] == 0
    assert len(starts) > 1, "no node was lost in mid-run"
    assert int(str(starts[-1])) >= 5
    # Later on random weights make much of the last bit of a sum.
    first = slice(0, 8)
    assert step_losses(folder)[first] == pytest.approx(
        step_losses(trainer.folder(alone.id))[first], rel=1e-4
    )
    mine, theirs = (load_file(at_step_five(trainer, each.id)) for each in (alone, shared))
    assert mine.keys() == theirs.keys()
    for name, weights in mine.items():
        torch.testing.assert_close(theirs[name], weights, rtol=1e-3, atol=1e-3)
    was = trainer.state(alone.id).result
    assert was is not None
    assert state.result is not None
    assert state.result.trained_tokens == was.trained_tokens
    assert state.result.gguf is not None
    card = adapter(trainer, shared.id).with_name("card.md").read_text("utf-8")
    assert "2 workers of Ray" in card


def step_losses(folder: Path) -> list[float]:
    """By step; a step that was taken again as it was the last time."""
    events = [each.data for each in current_events(read_events(folder)) if each.type == "metrics"]
    return [float(str(each["train_loss"])) for each in events if "train_loss" in each]


def at_step_five(trainer: Trainer, job_id: str) -> Path:
    return trainer.folder(job_id) / "checkpoints" / "step-5" / "adapter_model.safetensors"


def kill_a_node(cluster: "Cluster", folder: Path) -> None:
    """Once there is a checkpoint of the fifth step."""
    pause = threading.Event()
    while not any(each.step >= 5 for each in read_checkpoints(folder)):
        pause.wait(0.05)
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)


def test_a_paused_run_goes_on_from_its_folder(
    make_job: MakeJob, do: Work, trainer: Trainer, tiny: Path, cluster: "Cluster"
) -> None:
    from headrace.training.worker import _Stop

    ray = {"address": cluster.address, "num_workers": 1}
    job = make_job(base=f"file:{tiny}", max_steps=300, learning_rate=RATE, ray=ray)
    folder = trainer.folder(job.id)
    stop = _Stop()

    def ask() -> None:
        pause = threading.Event()
        while not any(each.type == "metrics" for each in read_events(folder)):
            pause.wait(0.05)
        stop.asked = True

    threading.Thread(target=ask, daemon=True).start()
    state = do(job, stop=stop)
    assert state.status == "stopped", state.error
    assert state.checkpoints
    paused_at = state.checkpoints[-1].step
    assert 0 < paused_at < 300
    assert do(job).status == "succeeded"
    starts = [each.data for each in read_events(folder) if each.data.get("phase") == "training"]
    assert [each["from_step"] for each in starts] == [0, paused_at]


def test_more_workers_than_there_is_room_for_are_refused(
    make_job: MakeJob, do: Work, tiny: Path, cluster: "Cluster"
) -> None:
    ray = {"address": cluster.address, "num_workers": 9}
    state = do(make_job(base=f"file:{tiny}", max_steps=2, ray=ray))
    assert state.error is not None
    assert state.error.code == "training_unavailable"
    assert "9 workers with 1 CPU each" in state.error.message
    assert "num_workers: " in state.error.hint


def test_what_no_other_try_would_mend_is_said_as_it_is(
    make_job: MakeJob, do: Work, tiny: Path, cluster: "Cluster"
) -> None:
    ray = {"address": cluster.address, "num_workers": 1}
    state = do(make_job(base=f"file:{tiny}", max_steps=2, ray=ray), memory_limit=100_000_000)
    assert state.error is not None
    assert state.error.code == "training_does_not_fit"


def test_a_cluster_that_is_not_there_is_said_at_once(
    make_job: MakeJob, do: Work, tiny: Path
) -> None:
    state = do(make_job(base=f"file:{tiny}", max_steps=2, ray={"address": "127.0.0.1:1"}))
    assert state.error is not None
    assert "no Ray cluster at '127.0.0.1:1'" in state.error.message
    assert "ray start --head" in state.error.hint


def test_private_training_is_not_shared(make_job: MakeJob, do: Work) -> None:
    state = do(make_job(ray={}, privacy={"epsilon": 8}))
    assert state.error is not None
    assert state.error.code == "training_invalid"
    assert os.environ.get("RAY_ADDRESS") is None
