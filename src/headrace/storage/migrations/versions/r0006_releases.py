"""Releases, and which of them each channel serves."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "releases",
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("behaviour", sa.String(71), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_releases"),
    )
    op.create_index("ix_releases_number", "releases", ["number"], unique=True)
    op.create_index("ix_releases_behaviour", "releases", ["behaviour"])
    op.create_table(
        "channel_moves",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_channel_moves"),
    )
    op.create_index("ix_channel_moves_channel_id", "channel_moves", ["channel", "id"])
