"""Adds the copies of working files, from which a worker on another machine goes on."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Upgrades to this revision."""
    op.create_table(
        "working_parts",
        sa.Column("task_id", sa.String(32), sa.ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
        sa.Column("path", sa.String(200), nullable=False),
        sa.Column("start", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("blob", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "path", "start"),
    )
    op.create_index("ix_working_parts_blob", "working_parts", ["blob"])


def downgrade() -> None:
    """Downgrades to the previous revision."""
    op.drop_table("working_parts")
