"""Training speed: tokens a second of `headrace train` against plain TRL, and memory against the estimate.

Both fine-tune the built-in model (LoRA of the same rank on the same layers, float32, the same rows
as the same tokens, batch and learning rate) for one epoch, each in a process of its own, in turns.
TRL is used as its documentation shows, with the tokens given. What is timed is the training itself,
not importing or loading. The target: at least 0.95 of TRL.

    python bench/loop/training.py [--rows 24] [--batch 4] [--rounds 2] [--answer 24]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from headrace.training.base import Base

CACHE = Path(__file__).parents[2] / ".cache" / "headrace"
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RATE, RANK, ALPHA = 1e-3, 8, 16
PROMPT_TOKENS = 72
FIRST, VOCABULARY = 100, 40_000


def rows(count: int, answer: int) -> list[tuple[list[int], int]]:
    """Tokens, and where the answer begins: lengths vary by a quarter, as those of short dialogues."""
    found = []
    for at in range(count):
        prompt = PROMPT_TOKENS * (7 + at % 3) // 8
        ids = [
            FIRST + (at * 7919 + place * 104_729) % VOCABULARY for place in range(prompt + answer)
        ]
        found.append((ids, prompt))
    return found


def ours(settings: argparse.Namespace) -> dict[str, float]:
    """One epoch by Headrace's loop, its events and checkpoint included."""
    import torch

    from headrace.training.data import Data
    from headrace.training.folder import EventLog
    from headrace.training.job import FineTune, Hyperparameters
    from headrace.training.memory import Need, memory_of
    from headrace.training.plan import plan_of
    from headrace.training.prepare import Prepared
    from headrace.training.process.load import shape_of
    from headrace.training.process.loop import Loop
    from headrace.training.process.task import task_of
    from headrace.training.render import Tokens

    base, model = _base(settings)
    parameters = Hyperparameters(
        epochs=1, batch_size=settings.batch, learning_rate=RATE, schedule="constant", warmup_ratio=0
    )
    spec = FineTune(base=base.reference, training="", parameters=parameters)
    train = [
        Tokens("", ids, [(start, len(ids))]) for ids, start in rows(settings.rows, settings.answer)
    ]
    prepared = Prepared(Data("", ""), None, 2048, train=train)
    task = task_of(prepared, spec, torch.device("cpu"), 2)
    plan = plan_of(spec, task.rows, has_held_out=False)
    with tempfile.TemporaryDirectory() as folder:
        log = EventLog(Path(folder))
        loop = Loop(_adapted(model), task, spec, plan, Path(folder), log, lambda: False)
        started = time.perf_counter()
        progress = loop.run()
        seconds = time.perf_counter() - started
        log.close()
    need = Need(plan.micro_batch_size, task.longest, task.learned, 4.0, 4)
    return {
        "tokens_per_s": progress.tokens / seconds,
        "loss": progress.train_loss or 0.0,
        "estimate_gb": memory_of(shape_of(base), spec, need) / 1e9,
    }


def trl(settings: argparse.Namespace) -> dict[str, float]:
    """One epoch by TRL's SFTTrainer."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    from datasets import Dataset

    _, model = _base(settings)
    data = rows(settings.rows, settings.answer)
    dataset = Dataset.from_list(
        [{"input_ids": ids, "labels": [-100] * start + ids[start:]} for ids, start in data]
    )
    words = {"<unk>": 0, "<s>": 1, "<pad>": 2}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")),
        pad_token="<pad>",
        eos_token="<pad>",
    )
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=settings.batch,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            warmup_steps=0,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            max_length=None,
            disable_tqdm=True,
            dataset_kwargs={"skip_prepare_dataset": True},
        )
        trainer = SFTTrainer(
            model=_adapted(model), args=config, train_dataset=dataset, processing_class=tokenizer
        )
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    losses = [each["loss"] for each in trainer.state.log_history if "loss" in each]
    return {
        "tokens_per_s": sum(len(ids) for ids, _ in data) / seconds,
        "loss": float(losses[-1]),
    }


def _base(settings: argparse.Namespace) -> "tuple[Base, nn.Module]":
    import torch

    from headrace.models.store import ModelStore
    from headrace.training.base import find_base
    from headrace.training.declared import base_of
    from headrace.training.job import FineTune
    from headrace.training.process.load import load_base

    torch.set_num_threads(settings.threads)
    root = Path("/nonexistent")
    store = ModelStore(CACHE / "models", root=root)
    base = find_base(base_of("", root, CACHE), store, root)
    model = load_base(base, FineTune(base=base.reference, training=""), torch.device("cpu"))
    return base, model


def _adapted(model: "nn.Module") -> "nn.Module":
    import peft
    import torch

    torch.manual_seed(42)
    return peft.get_peft_model(
        model,
        peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, task_type="CAUSAL_LM"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--answer", type=int, default=24, help="tokens that are learned of a row")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--arm", choices=("ours", "trl"), help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.arm:
        warnings.simplefilter("ignore")
        found = {"ours": ours, "trl": trl}[settings.arm](settings)
        found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        sys.stdout.write(json.dumps(found) + "\n")
        return
    _report(settings)


def _report(settings: argparse.Namespace) -> None:
    found: dict[str, list[dict[str, float]]] = {"ours": [], "trl": []}
    for round_ in range(settings.rounds):
        # Who goes first changes: a machine that others use gets slower or faster meanwhile.
        for arm in ("ours", "trl") if round_ % 2 == 0 else ("trl", "ours"):
            args = [
                f"--{name}={getattr(settings, name)}"
                for name in ("rows", "batch", "answer", "threads")
            ]
            done = subprocess.run(
                [sys.executable, __file__, f"--arm={arm}", *args],
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if "VERBOSE" not in os.environ else None,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "TRACKIO_DISABLED": "1"},
            )
            found[arm].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{arm:>5}", json.dumps(found[arm][-1]))
    speeds = {
        arm: statistics.median(each["tokens_per_s"] for each in results)
        for arm, results in found.items()
    }
    print(f"tokens/s: ours {speeds['ours']:.1f}, TRL {speeds['trl']:.1f}")
    print(f"ratio {speeds['ours'] / speeds['trl']:.2f} (target 0.95)")
    peak = max(each["peak_gb"] for each in found["ours"])
    print(f"memory: estimate {found['ours'][0]['estimate_gb']:.2f} GB, measured peak {peak:.2f} GB")


if __name__ == "__main__":
    main()
