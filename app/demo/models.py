"""The movable clock's one row."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Instant


class ClockRow(Base):
    """How far the demo's clock stands from real time, and whether it stands still."""

    __tablename__ = "clock"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    offset_us: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    frozen_at: Mapped[Instant | None]

    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)
