"""Alerts of figures that have drifted."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "drift_alerts",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("signal", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drift_alerts"),
    )
    op.create_index("ix_drift_alerts_created_at", "drift_alerts", ["created_at"])
