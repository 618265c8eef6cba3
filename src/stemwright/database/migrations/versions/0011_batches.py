"""Adds batches, whose songs any number of hosts separate without a server."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

PATH = sa.String(1000).with_variant(sa.String(1000, collation="C"), "postgresql")


def upgrade() -> None:
    """Upgrades to this revision."""
    op.create_table(
        "batches",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("target", sa.String(1000), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("target"),
    )
    op.create_table(
        "batch_songs",
        sa.Column("batch_id", sa.String(32), sa.ForeignKey("batches.id", ondelete="CASCADE"), nullable=False),
        sa.Column("path", PATH, nullable=False),
        sa.Column("version", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("leased_by", sa.String(100), nullable=True),
        sa.Column("leased_until", sa.Double(), nullable=True),
        sa.Column("token", sa.String(32), nullable=True),
        sa.Column("facts", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "path"),
    )
    op.create_index("batch_songs_by_state", "batch_songs", ["batch_id", "state", "path"])


def downgrade() -> None:
    """Downgrades to the previous revision."""
    op.drop_table("batch_songs")
    op.drop_table("batches")
