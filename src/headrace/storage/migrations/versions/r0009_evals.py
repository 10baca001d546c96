"""Evals of the API, their runs, and what came of each row."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "evals",
        sa.Column("id", sa.String(41), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("state_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evals"),
    )
    op.create_index("ix_evals_key_id_id", "evals", ["key_id", "id"])
    op.create_table(
        "eval_runs",
        sa.Column("id", sa.String(44), nullable=False),
        sa.Column("eval_id", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("state_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_eval_runs"),
    )
    op.create_index("ix_eval_runs_eval_id_id", "eval_runs", ["eval_id", "id"])
    op.create_index("ix_eval_runs_status_id", "eval_runs", ["status", "id"])
    op.create_table(
        "eval_output_items",
        sa.Column("run_id", sa.String(44), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("item_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_eval_output_items"),
    )
