"""From the base's weights to a model that can be trained, on this machine and device."""

import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from headrace.models.embedded.cpu import usable_cpus
from headrace.training.base import Base
from headrace.training.errors import TrainingInvalid
from headrace.training.folder import EventSink
from headrace.training.job import FineTune
from headrace.training.memory import Need, Shape, available_bytes, check_fits
from headrace.training.plan import Plan
from headrace.training.process.load import check_quantized, load_base, weights_type
from headrace.training.process.loop import measure
from headrace.training.process.task import Task

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Setup", "check_device", "machine_of_here"]

_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def check_device(spec: FineTune, device: torch.device) -> None:
    """
    Raises:
        TrainingUnavailable: the device cannot do what is asked.
    """
    if spec.tuning == "qlora":
        check_quantized(device)
    weights_type(spec.parameters.precision, device)


class Setup:
    """See the module."""

    def __init__(
        self,
        spec: FineTune,
        base: Base,
        device: torch.device,
        log: EventSink,
        *,
        environ: Mapping[str, str],
        memory_limit: int | None = None,
    ) -> None:
        """
        Args:
            memory_limit: bytes that it may take, however much is free.
        """
        self._spec, self._base, self.device, self._log = spec, base, device, log
        self._environ = environ
        self._memory_limit = memory_limit

    def checked_memory(self, shape: Shape, task: Task, plan: Plan) -> int:
        """Bytes that it takes.

        Raises:
            TrainingDoesNotFit: they are more than there are.
        """
        kind = weights_type(self._spec.parameters.precision, self.device)
        number_bytes = 2 if kind == torch.bfloat16 else 4
        weight_bytes = 0.6 if self._spec.tuning == "qlora" else float(number_bytes)
        if self._spec.tuning == "full":
            weight_bytes = 4.0
        need = Need(plan.micro_batch_size, task.longest, task.learned, weight_bytes, number_bytes)
        self._available = self._free_bytes()
        return check_fits(shape, self._spec, need, self._available)

    def _free_bytes(self) -> int:
        if self.device.type == "cuda":
            free = int(torch.cuda.mem_get_info()[0])
            return free if self._memory_limit is None else min(free, self._memory_limit)
        return available_bytes(self._memory_limit)

    def model(self) -> "nn.Module":
        """The base."""
        if "OMP_NUM_THREADS" not in self._environ:
            torch.set_num_threads(usable_cpus())
        torch.manual_seed(self._spec.seed)
        return load_base(self._base, self._spec, self.device)

    def tuned(self, model: "nn.Module") -> "nn.Module":
        """The model with what is trained of it."""
        spec, parameters = self._spec, self._spec.parameters
        torch.manual_seed(spec.seed)
        if parameters.gradient_checkpointing:
            model.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
        if spec.tuning == "full":
            return model
        import peft

        if spec.tuning == "qlora":
            model = peft.prepare_model_for_kbit_training(
                model, use_gradient_checkpointing=parameters.gradient_checkpointing
            )
        known = {name.rpartition(".")[2] for name, _ in model.named_modules()}
        targets = parameters.lora_targets or [each for each in _TARGETS if each in known]
        unknown = sorted(set(targets) - known)
        if unknown or not targets:
            raise TrainingInvalid(
                f"the model has no layer {', '.join(unknown) or 'to adapt'}",
                hint=f"lora_targets: some of {', '.join(each for each in _TARGETS if each in known)}",
            )
        configuration = peft.LoraConfig(
            r=parameters.lora_rank,
            lora_alpha=parameters.lora_alpha,
            lora_dropout=parameters.lora_dropout,
            target_modules=sorted(targets),
            task_type="CAUSAL_LM",
            base_model_name_or_path=spec.base,
        )
        model.name_or_path = spec.base
        tuned: nn.Module = peft.get_peft_model(model, configuration)
        return tuned

    def estimate(self, model: "nn.Module", task: Task, plan: Plan, memory: int) -> None:
        """Say, before it begins, what it will take."""
        per_token = measure(model, task, plan, range(plan.batch_size))
        tokens = task.tokens * plan.total_steps / plan.steps_per_epoch
        seconds = per_token * tokens
        self._log.add(
            "estimate",
            f"about {memory / 1e9:.1f} GB of {self._available / 1e9:.1f} GB, "
            f"and {seconds:,.0f} s for {plan.total_steps:,} steps ({tokens:,.0f} tokens)",
            {
                "memory_bytes": memory,
                "available_bytes": self._available,
                "seconds": seconds,
                "total_steps": plan.total_steps,
                "epochs": plan.epochs,
                "batch_size": plan.batch_size,
                "learning_rate": plan.learning_rate,
            },
        )


def machine_of_here() -> str:
    """This machine, for the card."""
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{usable_cpus()} CPUs, {platform.machine()}, {accelerator}"
