"""Every table of the database, on one MetaData. Migrations that make them: `migrations/`.

Columns of type LargeBinary named `*_sealed` hold text encrypted by `privacy/vault.py`; `subject`
columns hold the vault's subject ids, never a name. Times are seconds since the epoch.
Ids of traces, messages and keys are UUIDv7, so ordering by id is ordering by time.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

__all__ = [
    "api_keys",
    "attestations",
    "audit_log",
    "batches",
    "channel_moves",
    "consents",
    "conversation_messages",
    "conversations",
    "dataset_versions",
    "drift_alerts",
    "eval_output_items",
    "eval_runs",
    "evals",
    "evaluation_answers",
    "evaluation_runs",
    "feedback",
    "files",
    "limit_counters",
    "meta",
    "metadata",
    "open_traces",
    "prompt_tags",
    "prompt_versions",
    "release_blobs",
    "releases",
    "review_decisions",
    "reviews",
    "subject_keys",
    "traces",
    "tuning_jobs",
    "workflow_approvals",
    "workflow_executors",
    "workflow_results",
    "workflow_runs",
    "workflow_steps",
    "workflow_ticks",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
"""Single facts about this database: check of the master key, counters of changes."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("hint", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
    Column("team", String, nullable=False, server_default=""),
)
"""`digest` is the SHA-256 of the secret in hex; `hint` its last four characters."""

limit_counters = Table(
    "limit_counters",
    metadata,
    Column("name", String, primary_key=True),
    Column("slots", LargeBinary, nullable=False),
    Column("updated_at", Float, nullable=False),
    Index("ix_limit_counters_updated_at", "updated_at"),
)
"""What keys, teams and models have used. `name` says what is counted and for whom (JSON);
`slots` holds the amounts by slot of the minute, day or month (MessagePack)."""

subject_keys = Table(
    "subject_keys",
    metadata,
    Column("subject", String(34), primary_key=True),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("name_sealed", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
)
"""One AES-256 key per subject, wrapped by the master key. No row: the texts are unreadable."""

traces = Table(
    "traces",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("started_at", Float, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("status", String, nullable=False),
    Column("error", String),
    Column("key_id", String, nullable=False),
    Column("subject", String(34), nullable=False),
    Column("conversation", String),
    Column("operation", String, nullable=False),
    Column("model", String, nullable=False),
    Column("deployment", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("release", String, nullable=False),
    Column("template", String, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("language", String, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("ttft_s", Float),
    Column("tpot_s", Float),
    Column("cost_usd", Float, nullable=False),
    Column("finish_reason", String),
    Column("size_bytes", Integer, nullable=False),
    Column("detail", LargeBinary, nullable=False),
    Column("input_sealed", LargeBinary),
    Column("output_sealed", LargeBinary),
    Index("ix_traces_started_at_size_bytes", "started_at", "size_bytes"),
    Index("ix_traces_conversation_id", "conversation", "id"),
    Index("ix_traces_status_id", "status", "id"),
    Index("ix_traces_model_id", "model", "id"),
    Index("ix_traces_key_id_id", "key_id", "id"),
    Index("ix_traces_subject", "subject"),
)
"""Finished turns. `detail` holds spans and findings (MessagePack): one row a turn, not ten.

`size_bytes` is what the row takes (texts and detail), for retention by size.
"""

open_traces = Table(
    "open_traces",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("boot", String(36), nullable=False),
    Column("record", LargeBinary, nullable=False),
)
"""Turns that have begun and not ended; what an earlier process left here was interrupted."""

feedback = Table(
    "feedback",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("trace_id", String(36), nullable=False),
    Column("key_id", String, nullable=False),
    Column("score", Integer, nullable=False),
    Column("comment_sealed", LargeBinary),
    Column("created_at", Float, nullable=False),
    Column("correction_sealed", LargeBinary),
    Index("ix_feedback_trace_id", "trace_id"),
)
"""Ratings of answers. No foreign key: a rating may be written before its trace."""

conversations = Table(
    "conversations",
    metadata,
    Column("owner", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("title_sealed", LargeBinary),
    Column("subject", String(34), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("summary_sealed", LargeBinary),
    Index("ix_conversations_owner_updated_at", "owner", "updated_at"),
    Index("ix_conversations_updated_at", "updated_at"),
)
"""`owner` is a key's id: another key never sees the conversation. `subject` sealed the title."""

conversation_messages = Table(
    "conversation_messages",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("owner", String, nullable=False),
    Column("conversation", String, nullable=False),
    Column("subject", String(34), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("payload_sealed", LargeBinary, nullable=False),
    Index("ix_conversation_messages_owner_conversation_id", "owner", "conversation", "id"),
    Index("ix_conversation_messages_subject", "subject"),
)
"""One message each; ids sort in the order of the conversation."""

prompt_versions = Table(
    "prompt_versions",
    metadata,
    Column("name", String, primary_key=True),
    Column("digest", String(71), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("source", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_prompt_versions_name_number", "name", "number", unique=True),
)
"""Prompt templates as they were; `source` is a prompt file (YAML, zlib) that gives the same digest.

Rows are only ever added."""

prompt_tags = Table(
    "prompt_tags",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String, nullable=False),
    Column("tag", String, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_prompt_tags_name_id", "name", "id"),
)
"""Where tags were put, one row a move; the last row of a tag counts, an empty digest removes it."""

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("name", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", String(71), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_dataset_versions_digest", "digest"),
)
"""Versions of datasets; `manifest` (JSON) names the segments that hold the rows."""

files = Table(
    "files",
    metadata,
    Column("id", String(41), primary_key=True),
    Column("key_id", String, nullable=False),
    Column("name_sealed", LargeBinary, nullable=False),
    Column("purpose", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Index("ix_files_key_id_id", "key_id", "id"),
)
"""Files that clients uploaded, or that were made for them; the bytes lie sealed beside the database."""

batches = Table(
    "batches",
    metadata,
    Column("id", String(42), primary_key=True),
    Column("key_id", String, nullable=False),
    Column("status", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index("ix_batches_key_id_id", "key_id", "id"),
    Index("ix_batches_status_id", "status", "id"),
)
"""Batches of requests; `state` (JSON) is all of it, the columns are what is searched by."""

releases = Table(
    "releases",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("behaviour", String(71), nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("note", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_releases_number", "number", unique=True),
    Index("ix_releases_behaviour", "behaviour"),
)
"""Releases; `digest` is of `manifest` (JSON), `behaviour` is what answers carry as their release."""

release_blobs = Table(
    "release_blobs",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
"""Files of releases, where several gateways share a server; else they lie beside the database."""

channel_moves = Table(
    "channel_moves",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("channel", String, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("who", String, nullable=False),
    Column("why", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_channel_moves_channel_id", "channel", "id"),
)
"""Which release each channel was moved to, one row a move: the last counts; an empty digest: none."""

attestations = Table(
    "attestations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("release", String(71), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Index("ix_attestations_release_id", "release", "id"),
)
"""What releases have proved: results of suites in signed envelopes (DSSE, JSON)."""

drift_alerts = Table(
    "drift_alerts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("signal", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("detail", LargeBinary, nullable=False),
    Index("ix_drift_alerts_created_at", "created_at"),
)
"""Figures of the traffic that have drifted; `detail` is the alert (JSON)."""

evaluation_answers = Table(
    "evaluation_answers",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("answer_sealed", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
)
"""Answers to cases of suites; `key` is of suite, release, case, seed and repeat."""

evaluation_runs = Table(
    "evaluation_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("suite", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("run_sealed", LargeBinary, nullable=False),
    Index("ix_evaluation_runs_suite_id", "suite", "id"),
)
"""Runs of suites that ended, with answers and scores."""

consents = Table(
    "consents",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("subject", String(34), nullable=False),
    Column("purpose", String, nullable=False),
    Column("given_at", Float, nullable=False),
    Column("until", Float),
    Column("withdrawn_at", Float),
    Column("evidence_sealed", LargeBinary, nullable=False),
    Index("ix_consents_subject_purpose", "subject", "purpose"),
)
"""What a person allowed. Rows are never deleted but with the person: a withdrawal is a time, too."""

evals = Table(
    "evals",
    metadata,
    Column("id", String(41), primary_key=True),
    Column("key_id", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("state_sealed", LargeBinary, nullable=False),
    Index("ix_evals_key_id_id", "key_id", "id"),
)
"""Evals that clients made (`/v1/evals`)."""

eval_runs = Table(
    "eval_runs",
    metadata,
    Column("id", String(44), primary_key=True),
    Column("eval_id", String, nullable=False),
    Column("key_id", String, nullable=False),
    Column("status", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("state_sealed", LargeBinary, nullable=False),
    Index("ix_eval_runs_eval_id_id", "eval_id", "id"),
    Index("ix_eval_runs_status_id", "status", "id"),
)
"""Their runs; those of a suite of the folder too."""

eval_output_items = Table(
    "eval_output_items",
    metadata,
    Column("run_id", String(44), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("status", String, nullable=False),
    Column("item_sealed", LargeBinary, nullable=False),
)
"""What came of each row of a run, as soon as it is known."""

workflow_runs = Table(
    "workflow_runs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("workflow", String, nullable=False),
    Column("status", String, nullable=False),
    Column("detail", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("error", String, nullable=False),
    Column("cancelling", Boolean, nullable=False),
    Column("executor", String(36), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Index("ix_workflow_runs_workflow_id", "workflow", "id"),
    Index("ix_workflow_runs_status_id", "status", "id"),
)
"""Runs of workflows. `detail` holds the file as it was and the variables (MessagePack); `epoch`
counts the executors that had it: only the last one may say what comes of it."""

workflow_steps = Table(
    "workflow_steps",
    metadata,
    Column("run_id", String(36), primary_key=True),
    Column("step", String, primary_key=True),
    Column("operation", String, nullable=False),
    Column("status", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("note", String, nullable=False),
    Column("error", String, nullable=False),
    Column("outcome", LargeBinary),
    Column("executor", String(36), nullable=False),
    Column("host", String, nullable=False),
    Column("cpus", Float, nullable=False),
    Column("memory_gb", Float, nullable=False),
    Column("gpus", Integer, nullable=False),
    Index("ix_workflow_steps_status_host", "status", "host"),
)
"""Their steps that have begun, or were left out. `outcome`: what each gave (MessagePack)."""

workflow_approvals = Table(
    "workflow_approvals",
    metadata,
    Column("run_id", String(36), primary_key=True),
    Column("step", String, primary_key=True),
    Column("approved", Boolean, nullable=False),
    Column("who", String, nullable=False),
    Column("why", String, nullable=False),
    Column("at", Float, nullable=False),
)
"""What people decided for steps that wait for them."""

workflow_results = Table(
    "workflow_results",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("operation", String, nullable=False),
    Column("outcome", LargeBinary, nullable=False),
    Column("run_id", String(36), nullable=False),
    Column("used_at", Float, nullable=False),
)
"""What steps gave, by the SHA-256 of all that it depends on: the same need not be done again."""

workflow_executors = Table(
    "workflow_executors",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)
"""Processes that work on runs, and when each last said that it is there."""

workflow_ticks = Table(
    "workflow_ticks",
    metadata,
    Column("workflow", String, primary_key=True),
    Column("occasion", String, primary_key=True),
    Column("moment", String, primary_key=True),
    Column("run_id", String(36), nullable=False),
    Column("at", Float, nullable=False),
    Index("ix_workflow_ticks_at", "at"),
)
"""Moments of schedules and triggers that were seen to: a row each, so that each counts once."""

reviews = Table(
    "reviews",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("trace_id", String(36), nullable=False),
    Column("subject", String(34), nullable=False),
    Column("key_id", String, nullable=False),
    Column("conversation", String),
    Column("model", String, nullable=False),
    Column("language", String, nullable=False),
    Column("policy", String, nullable=False),
    Column("side", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("detector", String, nullable=False),
    Column("score", Float, nullable=False),
    Column("withheld", Boolean, nullable=False),
    Column("decision", String),
    Column("text_sealed", LargeBinary),
    Index("ix_reviews_decision_id", "decision", "id"),
    Index("ix_reviews_subject", "subject"),
)
"""What policies gave to a person; `decision` is the last one of `review_decisions`, none: open."""

review_decisions = Table(
    "review_decisions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("review_id", String(36), nullable=False),
    Column("who", String, nullable=False),
    Column("decision", String, nullable=False),
    Column("reason_sealed", LargeBinary),
    Column("decided_at", Float, nullable=False),
    Column("digest", String(64), nullable=False),
    Index("ix_review_decisions_review_id", "review_id", "number"),
)
"""Who decided what, when and why. Only added to; each `digest` covers its row and the digest before."""

audit_log = Table(
    "audit_log",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False),
    Column("target", String, nullable=False),
    Column("why", String, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Column("code", String(64), nullable=False),
    Index("ix_audit_log_action_number", "action", "number"),
)
"""What was changed, by whom and why. Only added to; each `code` covers its row and the one before."""

tuning_jobs = Table(
    "tuning_jobs",
    metadata,
    Column("id", String(42), primary_key=True),
    Column("key_id", String, nullable=False),
    Column("status", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index("ix_tuning_jobs_key_id_id", "key_id", "id"),
    Index("ix_tuning_jobs_is_open_id", "is_open", "id"),
)
"""Fine-tuning jobs; `state` (JSON) is all of it. `is_open`: somebody has to work on it, or to see to
the process that trained for it."""
