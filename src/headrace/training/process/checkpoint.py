"""Checkpoints: everything that the next step depends on, in a folder that appears when whole.

Order of the examples, learning rate and dropout are functions of seed and step, so that weights and
optimizer are all there is to keep: a resumed run ends with the same bits as one that never stopped.
"""

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch
from safetensors.torch import load_file, save_file

from headrace.training.errors import TrainingFailed
from headrace.training.folder import CHECKPOINT_FILE, CHECKPOINTS, read_checkpoints
from headrace.training.job import Checkpoint
from headrace.training.leftover import OPTIMIZER, PROGRESS

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "TRAINED",
    "Progress",
    "load_weights",
    "prune",
    "restore",
    "save",
    "save_weights",
    "sync_folder",
]

TRAINED = ".trained.part"
"""In the folder: weights that a cluster has trained, until they are in the result."""
ADAPTER_FILE, MODEL_FILE = "adapter_model.safetensors", "model.safetensors"


class Progress(msgspec.Struct, kw_only=True):
    """How far a training is."""

    step: int = 0
    tokens: int = 0
    wall_s: float = 0.0
    energy_wh: float | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    valid_loss: float | None = None
    valid_accuracy: float | None = None
    best_loss: float | None = None
    best_step: int = 0
    since_best: int = 0
    """Evaluations without improvement."""


def save(
    folder: Path,
    model: "nn.Module",
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    *,
    is_full: bool,
    keep: int,
) -> Path:
    """Write the checkpoint of this step; older ones than the `keep` newest go, but for the best.

    Raises:
        OSError: the disk is full; nothing of it is left.
    """
    parent = folder / CHECKPOINTS
    parent.mkdir(mode=0o700, exist_ok=True)
    for left in parent.glob(".*.part"):
        shutil.rmtree(left, ignore_errors=True)
    part, target = parent / f".step-{progress.step}.part", parent / f"step-{progress.step}"
    try:
        part.mkdir(mode=0o700)
        save_weights(model, part, is_full=is_full)
        torch.save(optimizer.state_dict(), part / OPTIMIZER)
        (part / PROGRESS).write_bytes(msgspec.json.encode(progress))
        about = Checkpoint(
            step=progress.step,
            path="",
            at=time.time(),
            train_loss=progress.train_loss,
            valid_loss=progress.valid_loss,
            train_mean_token_accuracy=progress.train_accuracy,
            valid_mean_token_accuracy=progress.valid_accuracy,
        )
        (part / CHECKPOINT_FILE).write_bytes(msgspec.json.encode(about))
        sync_folder(part)
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    prune(folder, keep=keep, best_step=progress.best_step)
    return target


def prune(folder: Path, *, keep: int, best_step: int) -> None:
    """Delete older checkpoints than the `keep` newest, but for the best."""
    for old in read_checkpoints(folder)[:-keep]:
        if old.step != best_step:
            shutil.rmtree(old.path, ignore_errors=True)


def restore(
    folder: Path, model: "nn.Module", optimizer: torch.optim.Optimizer, *, is_full: bool
) -> Progress | None:
    """Go on after the newest checkpoint; None where there is none."""
    found = read_checkpoints(folder)
    if not found:
        return None
    path = Path(found[-1].path)
    try:
        load_weights(model, path, is_full=is_full)
        device = next(model.parameters()).device
        state = torch.load(path / OPTIMIZER, map_location=device, weights_only=True)
        optimizer.load_state_dict(state)
        return msgspec.json.decode((path / PROGRESS).read_bytes(), type=Progress)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise TrainingFailed(
            f"the checkpoint {path} cannot be read: {error}",
            hint="delete that folder: it goes on from the one before",
        ) from error


def save_weights(model: "nn.Module", folder: Path, *, is_full: bool) -> None:
    """The trained weights, with what is needed to use them."""
    if not is_full:
        # "auto" would look for the base's configuration on a hub.
        model.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)
        return
    weights = {name: each.detach().contiguous() for name, each in model.named_parameters()}
    save_file(weights, folder / MODEL_FILE, metadata={"format": "pt"})
    model.config.save_pretrained(folder)


def load_weights(model: "nn.Module", folder: Path, *, is_full: bool) -> None:
    """Put the weights of a checkpoint into the model."""
    if not is_full:
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(model, load_file(folder / ADAPTER_FILE))
        return
    weights = load_file(folder / MODEL_FILE)
    with torch.no_grad():
        for name, each in model.named_parameters():
            each.copy_(weights[name])


def sync_folder(folder: Path) -> None:
    """Put the files of a folder on the disk, before its new name says that they are there."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
