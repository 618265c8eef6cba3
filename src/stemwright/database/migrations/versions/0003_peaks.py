"""Adds the peaks files of stored sound files."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Upgrades to this revision."""
    op.create_table(
        "peaks",
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("blob", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("source"),
    )
    op.create_index("ix_peaks_blob", "peaks", ["blob"])


def downgrade() -> None:
    """Downgrades to the previous revision."""
    op.drop_table("peaks")
