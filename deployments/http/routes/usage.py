"""What the caller has used; with the scope `admin`, what everybody has."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Query

from deployments.http import families
from deployments.http.schemas.usage import UsageList, UsedOnDay
from deployments.http.services import PrincipalDep, ServicesDep
from deployments.principals.principal import ADMIN

DEFAULT_DAYS = 30

router = families.OPENAI.router("Principals", responses=families.OPENAI.errors(400, 401, 403, 429, 500, 503))


@router.get("/usage")
async def usage(
    services: ServicesDep,
    principal: PrincipalDep,
    first: Annotated[date | None, Query(alias="from", description="First day, UTC; 30 days ago by default")] = None,
    last: Annotated[date | None, Query(alias="to", description="Last day, UTC; today by default")] = None,
) -> UsageList:
    """Usage by day, a few seconds late."""
    today = datetime.now(UTC).date()
    await services.usage.flush()
    whose = None if ADMIN in principal.scopes else principal.name
    days = first or today - timedelta(days=DEFAULT_DAYS), last or today
    used = await asyncio.to_thread(services.usage.read, *days, whose)
    return UsageList(object="list", data=[UsedOnDay(**vars(each)) for each in used])
