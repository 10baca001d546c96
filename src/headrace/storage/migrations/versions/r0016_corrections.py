"""What an answer should have been, with its rating."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("feedback", sa.Column("correction_sealed", sa.LargeBinary(), nullable=True))
