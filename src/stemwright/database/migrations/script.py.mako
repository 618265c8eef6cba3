"""${message}."""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Goes to the newer tables."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Goes back to the older ones."""
    ${downgrades if downgrades else "pass"}
