"""Shares: who else may use a category of the caller's."""

import asyncio
from typing import Annotated

from fastapi import Path

from deployments.http import families
from deployments.http.routes.documents import MAX_CATEGORY_CHARACTERS
from deployments.http.schemas.documents import Share, ShareBody, ShareEnded
from deployments.http.services import PrincipalDep, ServicesDep, needs
from deployments.principals.principal import NAME
from pipelines.contracts.errors import NotFound

Name = Annotated[str, Path(min_length=1, max_length=MAX_CATEGORY_CHARACTERS, description="Category of the caller's")]
Grantee = Annotated[str, Path(pattern=NAME, description="Who may use it")]

router = families.OPENAI.router(
    "Documents",
    dependencies=[needs("knowledge")],
    responses=families.OPENAI.errors(400, 401, 403, 408, 413, 429, 500, 503),
)


@router.put("/categories/{name:path}/shares/{principal}")
async def share(services: ServicesDep, caller: PrincipalDep, name: Name, principal: Grantee, body: ShareBody) -> Share:
    """Let another principal read a category, or write to it too; whether there is such a principal is not said."""
    await asyncio.to_thread(services.principals.share, caller.name, name, principal, body.access)
    await services.registry.refresh(max_age_s=0)
    return Share(object="share", owner=caller.name, category=name, principal=principal, access=body.access)


@router.delete("/categories/{name:path}/shares/{principal}", responses=families.OPENAI.errors(404))
async def end_share(services: ServicesDep, caller: PrincipalDep, name: Name, principal: Grantee) -> ShareEnded:
    """End a share."""
    if not await asyncio.to_thread(services.principals.end_share, caller.name, name, principal):
        raise NotFound("There is no such share.")
    await services.registry.refresh(max_age_s=0)
    return ShareEnded(object="share", owner=caller.name, category=name, principal=principal, deleted=True)
