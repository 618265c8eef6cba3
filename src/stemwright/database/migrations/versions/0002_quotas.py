"""Adds a storage quota per account."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Upgrades to this revision."""
    op.add_column("accounts", sa.Column("quota_mb", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Downgrades to the previous revision."""
    op.drop_column("accounts", "quota_mb")
