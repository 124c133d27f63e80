"""Whose times those of a schedule are: a plan that is another begins anew."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
compat = 1


def upgrade() -> None:
    """`firing.plan`."""
    op.add_column("firing", sa.Column[str]("plan", sa.Text()))
