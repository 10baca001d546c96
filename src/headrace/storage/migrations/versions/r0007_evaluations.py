"""Answers and runs of evaluation suites."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "evaluation_answers",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("answer_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_evaluation_answers"),
    )
    op.create_table(
        "evaluation_runs",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("suite", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("run_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_evaluation_runs"),
    )
    op.create_index("ix_evaluation_runs_suite_id", "evaluation_runs", ["suite", "id"])
