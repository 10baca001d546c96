"""Where a fine-tune runs when it runs on a Ray cluster: the settings, and what they rule out."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from headrace.training.errors import TrainingInvalid, TrainingUnavailable

if TYPE_CHECKING:
    from headrace.training.job import FineTune

__all__ = ["RayCluster", "check_cluster"]


class RayCluster(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ray:` of a recipe, in Ray Train's own words."""

    address: str = "auto"
    """`HOST:PORT` of the cluster; auto: the one that this machine is a node of."""
    num_workers: Annotated[int, Meta(ge=1, le=1024)] = 2
    """Processes that share each batch."""
    use_gpu: bool = False
    """One GPU for each."""
    resources_per_worker: dict[str, Annotated[float, Meta(ge=0)]] = {}
    """Of each, as Ray names them; absent: one CPU, and with `use_gpu` one GPU."""
    max_failures: Annotated[int, Meta(ge=0)] = 3
    """How often it goes on from the last checkpoint after a worker or a node was lost."""

    def needs(self) -> dict[str, float]:
        """What one worker takes."""
        usual = {"CPU": 1.0, "GPU": 1.0} if self.use_gpu else {"CPU": 1.0}
        return {**usual, **self.resources_per_worker}


def check_cluster(spec: "FineTune") -> None:
    """
    Raises:
        TrainingInvalid: this fine-tune cannot run on several workers.
        TrainingUnavailable: Ray is not installed.
    """
    if spec.ray is None:
        return
    if spec.privacy is not None:
        raise TrainingInvalid(
            "private training runs in one process, and `ray` asks for a cluster",
            hint="leave out ray, or privacy",
        )
    if find_spec("ray") is None:
        raise TrainingUnavailable(
            "training on a cluster needs the package ray", hint="pip install 'headrace[train,ray]'"
        )
