"""Limits: the team of a key, and what was used."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("team", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "limit_counters",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("slots", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_limit_counters"),
    )
    op.create_index("ix_limit_counters_updated_at", "limit_counters", ["updated_at"])
