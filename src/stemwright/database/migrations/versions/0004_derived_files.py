"""Adds files that are computed from stored sound files, such as spectrograms."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Upgrades to this revision."""
    op.create_table(
        "derived_files",
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("blob", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("source", "kind"),
    )
    op.create_index("ix_derived_files_blob", "derived_files", ["blob"])
    op.create_index("ix_derived_files_used_at", "derived_files", ["used_at"])


def downgrade() -> None:
    """Downgrades to the previous revision."""
    op.drop_table("derived_files")
