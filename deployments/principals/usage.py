"""How much each principal has used, by day in UTC.

A process adds up in memory and writes every few seconds: one that is killed loses what it had not written.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import BigInteger, Column, Float, String, Table, select

from deployments.principals.table import METADATA, PrincipalTable
from pipelines.contracts.errors import SensoriumError

FLUSH_INTERVAL_S = 2.0
AMOUNTS = ("calls", "tokens", "audio_s", "images", "frames", "bytes")

_usage = Table(
    "usage",
    METADATA,
    Column("principal", String(255), primary_key=True),
    Column("date", String(10), primary_key=True),
    *(Column(name, Float if name == "audio_s" else BigInteger, nullable=False) for name in AMOUNTS),
)

Amounts = Mapping[str, float]
"""By the names of `AMOUNTS`."""

logger = logging.getLogger("ray.serve")


@dataclass(frozen=True)
class Used:
    """What one principal used on one day."""

    principal: str
    date: str
    calls: int
    tokens: int
    audio_s: float
    images: int
    frames: int
    bytes: int


class Usage:
    """Safe for one event loop and any number of processes."""

    def __init__(self, table: PrincipalTable) -> None:
        self._database = table.database
        self._pending: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def add(self, principal: str, **amounts: float) -> None:
        """Count something as used today."""
        self._pending[principal, f"{datetime.now(UTC):%F}"].update(amounts)

    async def flush(self) -> None:
        """Write what was added; if the database does not respond, it stays to be written.

        Raises:
            Overloaded, StorageFull: the database does not respond or is full.
        """
        pending, self._pending = self._pending, defaultdict(Counter)
        try:
            await asyncio.to_thread(self._write, pending)
        except SensoriumError:
            for key, amounts in pending.items():
                self._pending[key].update(amounts)
            raise

    async def flush_forever(self) -> None:
        """Write every few seconds."""
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            try:
                await self.flush()
            except SensoriumError as error:
                logger.warning("usage could not be written: %s", error.message)

    def read(self, first: date, last: date, principal: str | None) -> list[Used]:
        """What was used from one day to another, of one principal or of all; by day and name."""
        query = select(_usage).where(_usage.c.date.between(first.isoformat(), last.isoformat()))
        if principal is not None:
            query = query.where(_usage.c.principal == principal)
        with self._database.transaction() as connection:
            rows = connection.execute(query.order_by(_usage.c.date, _usage.c.principal)).all()
        return [Used(**row._mapping) for row in rows]

    def _write(self, pending: Mapping[tuple[str, str], Amounts]) -> None:
        if not pending:
            return
        with self._database.transaction() as connection:
            for (principal, day), amounts in sorted(
                pending.items()
            ):  # in one order: two writers must not wait in a ring
                values = {name: amounts.get(name, 0) for name in AMOUNTS}
                insertion = self._database.insert(_usage).values(principal=principal, date=day, **values)
                added = {name: _usage.c[name] + insertion.excluded[name] for name in AMOUNTS}
                connection.execute(insertion.on_conflict_do_update(index_elements=["principal", "date"], set_=added))
