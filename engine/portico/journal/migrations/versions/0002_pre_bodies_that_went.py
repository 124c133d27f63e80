"""Which days' bytes of which channel have gone before their day did."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
compat = 1


def upgrade() -> None:
    """`purged`."""
    op.create_table(
        "purged",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "day"),
    )
