"""${message}."""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Upgrades to this revision."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Downgrades to the previous revision."""
    ${downgrades if downgrades else "pass"}
