"""The base model in PyTorch: from the GGUF file that serves, or from safetensors.

Only the worker's process imports this. Llama, Qwen2 and Qwen3 files are read directly (a second for
135M parameters); other architectures by transformers' own, slower, reader.
"""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import transformers

from headrace.training.base import Base
from headrace.training.errors import TrainingInvalid, TrainingUnavailable
from headrace.training.gguf_file import GgufFile
from headrace.training.job import FineTune, Precision
from headrace.training.memory import Shape
from headrace.training.names import gguf_name, unpermuted

if TYPE_CHECKING:
    from torch import nn

__all__ = ["check_quantized", "device_of", "load_base", "shape_of", "weights_type"]

_CONFIGS = {"llama": "LlamaConfig", "qwen2": "Qwen2Config", "qwen3": "Qwen3Config"}


def shape_of(base: Base) -> Shape:
    """
    Raises:
        TrainingInvalid: the file does not say.
    """
    if base.is_gguf:
        return _gguf_shape(GgufFile.open(base.path))
    config = transformers.AutoConfig.from_pretrained(base.path, local_files_only=True)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    return _config_shape(config, sum(each.numel() for each in model.parameters()))


def _gguf_shape(file: GgufFile) -> Shape:
    heads, hidden = file.whole("attention.head_count"), file.whole("embedding_length")
    parameters = 0
    for tensor in file.tensors.values():
        size = 1
        for each in tensor.shape:
            size *= each
        parameters += size
    embedding = file.tensors.get("token_embd.weight")
    return Shape(
        parameters=parameters,
        layers=file.whole("block_count"),
        hidden=hidden,
        intermediate=file.whole("feed_forward_length", 4 * hidden),
        heads=heads,
        kv_heads=file.whole("attention.head_count_kv", heads),
        head_size=file.whole("attention.key_length", hidden // heads),
        vocabulary=embedding.shape[0] if embedding is not None else 0,
        context_tokens=file.whole("context_length"),
    )


def _config_shape(config: "transformers.PretrainedConfig", parameters: int) -> Shape:
    heads = config.num_attention_heads
    return Shape(
        parameters=parameters,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        intermediate=getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_size=getattr(config, "head_dim", None) or config.hidden_size // heads,
        vocabulary=config.vocab_size,
        context_tokens=getattr(config, "max_position_embeddings", 2048),
    )


def device_of() -> torch.device:
    """A GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def weights_type(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of the base's weights.

    Raises:
        TrainingUnavailable: bfloat16 is asked for, and this hardware computes it in software.
    """
    has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if precision == "bfloat16" and not has_bfloat16:
        raise TrainingUnavailable(
            "precision bfloat16 needs a GPU that has it", hint="set precision: auto, or float32"
        )
    return torch.bfloat16 if has_bfloat16 and precision != "float32" else torch.float32


def load_base(base: Base, spec: FineTune, device: torch.device) -> "nn.Module":
    """The model, on the device, its weights as numbers.

    Raises:
        TrainingUnavailable: QLoRA without a GPU or without bitsandbytes.
        TrainingInvalid: the weights cannot be read as a model.
    """
    kind = weights_type(spec.parameters.precision, device)
    if spec.tuning == "full":
        kind = torch.float32  # small updates would be rounded away; GPUs compute in bfloat16 anyway
    if spec.tuning == "qlora":
        return _load_quantized(base, device)
    if not base.is_gguf:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            base.path, dtype=kind, local_files_only=True
        )
        return _placed(model, device)
    file = GgufFile.open(base.path)
    config = _config(file)
    if config is None:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            base.path.parent, gguf_file=base.path.name, dtype=kind
        )
        return _placed(model, device)
    return _placed(_filled(file, config, kind), device)


def _placed(model: "nn.Module", device: torch.device) -> "nn.Module":
    model.config.use_cache = False
    return model.to(device)


def _load_quantized(base: Base, device: torch.device) -> "nn.Module":
    """The model in 4 bits.

    Source: Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023.
    """
    check_quantized(device)
    if base.is_gguf:
        raise TrainingInvalid(
            "QLoRA starts from safetensors, and this base is a GGUF file",
            hint="name the folder with the model's safetensors, or set tuning: lora",
        )
    return transformers.AutoModelForCausalLM.from_pretrained(
        base.path,
        local_files_only=True,
        device_map={"": device},
        quantization_config=transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
    )


def check_quantized(device: torch.device) -> None:
    """
    Raises:
        TrainingUnavailable: this machine cannot train in 4 bits.
    """
    if device.type != "cuda":
        raise TrainingUnavailable(
            "tuning: qlora needs an NVIDIA GPU, and this machine has none",
            hint="set tuning: lora, which trains the same adapter on 16- or 32-bit weights",
        )
    if importlib.util.find_spec("bitsandbytes") is None:  # transformers imports it
        raise TrainingUnavailable(
            "tuning: qlora needs the package bitsandbytes", hint="pip install bitsandbytes"
        )


def _config(file: GgufFile) -> "transformers.PretrainedConfig | None":
    """The model's configuration; None where it has more to it than is known here."""
    name = _CONFIGS.get(file.architecture)
    scaling = f"{file.architecture}.rope.scaling.type"
    if name is None or scaling in file.fields or "rope_freqs.weight" in file.tensors:
        return None
    if f"{file.architecture}.expert_count" in file.fields:
        return None
    shape = _gguf_shape(file)
    more: dict[str, object] = {}
    if name == "LlamaConfig":
        more = {"attention_bias": "blk.0.attn_q.bias" in file.tensors, "mlp_bias": False}
    return getattr(transformers, name)(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_size,
        max_position_embeddings=shape.context_tokens,
        rms_norm_eps=file.number("attention.layer_norm_rms_epsilon", 1e-6),
        rope_parameters={
            "rope_theta": file.number("rope.freq_base", 10000.0),
            "rope_type": "default",
        },
        tie_word_embeddings="output.weight" not in file.tensors,
        bos_token_id=file.fields.get("tokenizer.ggml.bos_token_id"),
        eos_token_id=file.fields.get("tokenizer.ggml.eos_token_id"),
        **more,
    )


def _filled(
    file: GgufFile, config: "transformers.PretrainedConfig", kind: torch.dtype
) -> "nn.Module":
    with _without_initial_weights(), _default_type(kind):
        model = transformers.AutoModelForCausalLM.from_config(config)
    model.tie_weights()  # left out together with the initial weights
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            numbers = file.tensor(gguf_name(file.architecture, config.num_hidden_layers, name))
            numbers = unpermuted(file.architecture, name, numbers, heads, kv_heads)
            if tuple(numbers.shape) != tuple(parameter.shape):
                raise TrainingInvalid(
                    f"{file.path}: {name} is {numbers.shape}, expected {tuple(parameter.shape)}"
                )
            parameter.copy_(torch.from_numpy(numbers))
    return model


@contextlib.contextmanager
def _default_type(kind: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def _without_initial_weights() -> Iterator[None]:
    """Random first weights take longer than reading the real ones, which replace them all."""
    from transformers import initialization

    with initialization.no_init_weights():
        yield
