"""Accounts may have a quota of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Goes to the newer tables."""
    op.add_column("accounts", sa.Column("quota_mb", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Goes back to the older ones."""
    op.drop_column("accounts", "quota_mb")
