"""Fine-tuning jobs of the API."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "tuning_jobs",
        sa.Column("id", sa.String(42), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tuning_jobs"),
    )
    op.create_index("ix_tuning_jobs_key_id_id", "tuning_jobs", ["key_id", "id"])
    op.create_index("ix_tuning_jobs_is_open_id", "tuning_jobs", ["is_open", "id"])
