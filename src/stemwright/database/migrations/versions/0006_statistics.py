"""Adds indexes for the figures that operators read: they must cost nothing where millions of tasks are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

INDEXES = {
    "tasks_waiting": ("tasks", ["plan", "created_at"], "state = 'pending'"),
    "tasks_by_state": ("tasks", ["state", "ended_at"], None),
    "deliveries_dead": ("callback_deliveries", ["attempted_at"], "state = 'dead'"),
}


def upgrade() -> None:
    """Upgrades to this revision."""
    for name, (table, columns, condition) in INDEXES.items():
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
    op.drop_index("ix_tasks_state", "tasks")  # tasks_by_state begins with the same column


def downgrade() -> None:
    """Downgrades to the previous revision."""
    op.create_index("ix_tasks_state", "tasks", ["state"])
    for name, (table, _, _) in INDEXES.items():
        op.drop_index(name, table)
