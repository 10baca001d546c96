"""Prompts: every version of a template that was in use, and the tags on them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "prompt_versions",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "digest", name="pk_prompt_versions"),
    )
    op.create_index(
        "ix_prompt_versions_name_number", "prompt_versions", ["name", "number"], unique=True
    )
    op.create_table(
        "prompt_tags",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prompt_tags"),
    )
    op.create_index("ix_prompt_tags_name_id", "prompt_tags", ["name", "id"])
