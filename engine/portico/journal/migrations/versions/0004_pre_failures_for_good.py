"""Which failures of calls are answers: a Signal that runs again is given them, too."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
compat = 1


def upgrade() -> None:
    """`call.final`."""
    false = sa.false()
    final = sa.Column[bool]("final", sa.Boolean(), nullable=False, server_default=false)
    op.add_column("call", final)
