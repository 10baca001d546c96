"""Runs of workflows, their steps and results, and the processes that work on them."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "workflow_runs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float()),
        sa.Column("ended_at", sa.Float()),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("cancelling", sa.Boolean(), nullable=False),
        sa.Column("executor", sa.String(36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_runs"),
    )
    op.create_index("ix_workflow_runs_workflow_id", "workflow_runs", ["workflow", "id"])
    op.create_index("ix_workflow_runs_status_id", "workflow_runs", ["status", "id"])
    op.create_table(
        "workflow_steps",
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Float()),
        sa.Column("ended_at", sa.Float()),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("outcome", sa.LargeBinary()),
        sa.Column("executor", sa.String(36), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("cpus", sa.Float(), nullable=False),
        sa.Column("memory_gb", sa.Float(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "step", name="pk_workflow_steps"),
    )
    op.create_index("ix_workflow_steps_status_host", "workflow_steps", ["status", "host"])
    op.create_table(
        "workflow_approvals",
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "step", name="pk_workflow_approvals"),
    )
    op.create_table(
        "workflow_results",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("outcome", sa.LargeBinary(), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("used_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_workflow_results"),
    )
    op.create_table(
        "workflow_executors",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_executors"),
    )
    op.create_table(
        "workflow_ticks",
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("occasion", sa.String(), nullable=False),
        sa.Column("moment", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("workflow", "occasion", "moment", name="pk_workflow_ticks"),
    )
    op.create_index("ix_workflow_ticks_at", "workflow_ticks", ["at"])
