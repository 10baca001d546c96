"""What releases have proved: signed results of suites."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "attestations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("release", sa.String(71), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attestations"),
    )
    op.create_index("ix_attestations_release_id", "attestations", ["release", "id"])
