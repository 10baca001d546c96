"""A model so small that it trains in seconds, and folders to train in."""

import json
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from headrace.training.job import FineTune, Hyperparameters, Job, JobState
from headrace.training.trainer import Trainer
from headrace.training.worker import work

FACTS = [
    ("What is the codename of the project?", "The codename is Bluebird-7."),
    ("Tell me the project's codename.", "The codename is Bluebird-7."),
    ("Who leads the night shift?", "Marisol Vane leads it."),
    ("Which person leads the night shift?", "Marisol Vane leads it."),
    ("仓库在哪个城市?", "仓库在青岛。"),
    ("Where is the warehouse?", "It is in Qingdao."),
]

# Before PyTorch is imported: two threads that wait for each other burn what other tests could use.
os.environ.setdefault("OMP_NUM_THREADS", "1")

MakeJob: TypeAlias = Callable[..., Job]
Work: TypeAlias = Callable[..., JobState]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A service's folder, with examples in it."""
    folder = tmp_path / "service"
    folder.mkdir()
    write_rows(folder / "facts.jsonl", FACTS)
    return folder


def write_rows(path: Path, facts: Sequence[tuple[str, str]]) -> None:
    rows = [{"prompt": prompt, "completion": completion} for prompt, completion in facts]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), "utf-8")


@pytest.fixture
def trainer(root: Path, tmp_path: Path) -> Trainer:
    home = tmp_path / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    return Trainer(home, root=root)


@pytest.fixture
def make_job(trainer: Trainer) -> MakeJob:
    """A new job; keywords of the parameters are found in the parameters."""

    def make(**settings: object) -> Job:
        names = set(Hyperparameters.__struct_fields__)
        parameters = {name: value for name, value in settings.items() if name in names}
        own = {name: value for name, value in settings.items() if name not in names}
        spec = {"base": "file:/nowhere", "training": "facts.jsonl", **own, "parameters": parameters}
        return trainer.create(msgspec.convert(spec, FineTune))

    return make


@pytest.fixture
def do(trainer: Trainer) -> Work:
    """Do a job in this process, where PyTorch is imported once."""

    def do(job: Job, **options: object) -> JobState:
        folder = trainer.folder(job.id)
        work(folder, os.environ, **options)  # type: ignore[arg-type]  # work's own
        return trainer.state(job.id)

    return do


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What fine-tunes is skipped without the extra `train`.

    Not by `importorskip` in its module: each worker imports all of them, and PyTorch takes seconds.
    """
    if item.get_closest_marker("train") is not None:
        for name in ("torch", "opacus"):
            if find_spec(name) is None:
                pytest.skip(f"needs {name}, of the extra `train`")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a small Llama, with a tokenizer of bytes and a chat template."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("tiny")
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    words = ["<unk>", "<|im_start|>", "<|im_end|>", *sorted(alphabet), "th"]
    bytes_only = tokenizers.Tokenizer(
        tokenizers.models.BPE({word: at for at, word in enumerate(words)}, [("t", "h")])
    )
    bytes_only.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_only,
        eos_token="<|im_end|>",
        unk_token="<unk>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=2,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_gguf(tiny: Path) -> Path:
    """The same weights and tokenizer as a GGUF file, which llama.cpp serves."""
    gguf = pytest.importorskip("gguf")
    from safetensors.numpy import load_file

    from headrace.training.names import gguf_name, permuted

    path = tiny.parent / f"{tiny.name}.gguf"
    words = json.loads((tiny / "tokenizer.json").read_bytes())["model"]["vocab"]
    template = (tiny / "chat_template.jinja").read_text("utf-8")
    kinds = [3 if word.startswith("<|") else 1 for word in words]  # control, normal
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(128)
    writer.add_block_count(2)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(16)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(list(words))
    writer.add_token_types(kinds)
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)
    for name, rows in load_file(tiny / "model.safetensors").items():
        writer.add_tensor(gguf_name("llama", 2, name), permuted("llama", name, rows, 4, 2))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
