"""Principals and their keys, for those with the scope `admin`."""

import asyncio
from typing import Annotated

from fastapi import Path, Response

from deployments.http import families
from deployments.http.schemas.principals import NewPrincipal, PrincipalList, PrincipalRecord, PrincipalWithKey
from deployments.http.services import Services, ServicesDep, needs
from deployments.principals.principal import ADMIN, CAPABILITIES, NAME, Limits

Name = Annotated[str, Path(pattern=NAME)]

router = families.OPENAI.router(
    "Principals",
    dependencies=[needs(ADMIN)],
    responses=families.OPENAI.errors(400, 401, 403, 429, 500, 503),
)


@router.get("/principals")
async def list_principals(services: ServicesDep) -> PrincipalList:
    """All principals, by name."""
    found = await asyncio.to_thread(services.principals.list)
    return PrincipalList(object="list", data=[PrincipalRecord.of(principal) for principal in found])


@router.post("/principals", status_code=201, responses=families.OPENAI.errors(413))
async def add_principal(services: ServicesDep, response: Response, body: NewPrincipal) -> PrincipalWithKey:
    """Add a principal; its key is in this answer alone."""
    scopes = CAPABILITIES if body.scopes is None else frozenset(body.scopes)
    limits = Limits(**body.model_dump(exclude={"name", "scopes"}))
    principal, key = await asyncio.to_thread(services.principals.add, body.name, scopes, limits)
    return await _with_key(services, response, PrincipalWithKey.of(principal, key=key))


@router.delete("/principals/{name}", responses=families.OPENAI.errors(404))
async def revoke_principal(services: ServicesDep, name: Name) -> PrincipalRecord:
    """End a principal's access; what it has stays."""
    principal = await asyncio.to_thread(services.principals.revoke, name)
    await services.registry.refresh(max_age_s=0)
    return PrincipalRecord.of(principal)


@router.post("/principals/{name}/key", responses=families.OPENAI.errors(404, 413))
async def rotate_key(services: ServicesDep, response: Response, name: Name) -> PrincipalWithKey:
    """Give a principal a new key in place of the old one; the new one is in this answer alone."""
    principal, key = await asyncio.to_thread(services.principals.rotate, name)
    return await _with_key(services, response, PrincipalWithKey.of(principal, key=key))


async def _with_key(services: Services, response: Response, record: PrincipalWithKey) -> PrincipalWithKey:
    await services.registry.refresh(max_age_s=0)
    response.headers["Cache-Control"] = "no-store"
    return record
