"""Adds what several servers on one database share: rate limits, and which of them delivers a callback."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Upgrades to this revision."""
    op.create_table(
        "rate_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("scope", sa.String(80), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("rate_events_by_scope", "rate_events", ["scope", "at"])
    op.create_index("ix_rate_events_at", "rate_events", ["at"])
    op.add_column("callback_deliveries", sa.Column("claimed_until", sa.Double(), nullable=True))


def downgrade() -> None:
    """Downgrades to the previous revision."""
    op.drop_column("callback_deliveries", "claimed_until")
    op.drop_table("rate_events")
