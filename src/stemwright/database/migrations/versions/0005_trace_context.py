"""Adds the trace context of a task: the request that created it and its worker are one trace."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Upgrades to this revision."""
    op.add_column("tasks", sa.Column("trace_context", sa.String(64), nullable=True))


def downgrade() -> None:
    """Downgrades to the previous revision."""
    op.drop_column("tasks", "trace_context")
