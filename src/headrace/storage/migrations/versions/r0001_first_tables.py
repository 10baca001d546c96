"""The first tables: keys, subjects, traces, feedback, conversations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _api_keys()
    _conversation_messages()
    _conversations()
    _feedback()
    _meta()
    _open_traces()
    _subject_keys()
    _traces()


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("revoked_at", sa.Float()),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )


def _conversation_messages() -> None:
    op.create_table(
        "conversation_messages",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("conversation", sa.String(), nullable=False),
        sa.Column("subject", sa.String(length=34), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("payload_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_conversation_messages"),
    )
    op.create_index(
        "ix_conversation_messages_owner_conversation_id",
        "conversation_messages",
        ["owner", "conversation", "id"],
    )
    op.create_index("ix_conversation_messages_subject", "conversation_messages", ["subject"])


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("title_sealed", sa.LargeBinary()),
        sa.Column("subject", sa.String(length=34), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("summary_sealed", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("owner", "id", name="pk_conversations"),
    )
    op.create_index("ix_conversations_owner_updated_at", "conversations", ["owner", "updated_at"])
    op.create_index("ix_conversations_updated_at", "conversations", ["updated_at"])


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("trace_id", sa.String(length=36), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("comment_sealed", sa.LargeBinary()),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_trace_id", "feedback", ["trace_id"])


def _meta() -> None:
    op.create_table(
        "meta",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )


def _open_traces() -> None:
    op.create_table(
        "open_traces",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("boot", sa.String(length=36), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_open_traces"),
    )


def _subject_keys() -> None:
    op.create_table(
        "subject_keys",
        sa.Column("subject", sa.String(length=34), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_subject_keys"),
    )


def _traces() -> None:
    op.create_table(
        "traces",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("error", sa.String()),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(length=34), nullable=False),
        sa.Column("conversation", sa.String()),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("deployment", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("stream", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), nullable=False),
        sa.Column("ttft_s", sa.Float()),
        sa.Column("tpot_s", sa.Float()),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("finish_reason", sa.String()),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("input_sealed", sa.LargeBinary()),
        sa.Column("output_sealed", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name="pk_traces"),
    )
    op.create_index("ix_traces_conversation_id", "traces", ["conversation", "id"])
    op.create_index("ix_traces_key_id_id", "traces", ["key_id", "id"])
    op.create_index("ix_traces_model_id", "traces", ["model", "id"])
    op.create_index("ix_traces_started_at_size_bytes", "traces", ["started_at", "size_bytes"])
    op.create_index("ix_traces_status_id", "traces", ["status", "id"])
    op.create_index("ix_traces_subject", "traces", ["subject"])
