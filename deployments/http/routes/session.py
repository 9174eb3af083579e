"""Signing in with a key: the browser keeps a cookie, which scripts cannot read, until the person signs out."""

import asyncio
from typing import Annotated

from fastapi import Header, Request, Response

from deployments.http import families
from deployments.http.errors import CrossSite, Unauthorized
from deployments.http.network import COOKIE
from deployments.http.schemas.principals import Session, SessionEnded, SignIn
from deployments.http.services import PrincipalDep, ServicesDep
from deployments.principals.table import SESSION_S

router = families.SESSION.router("Principals", responses=families.SESSION.errors(400, 401, 403, 429, 500, 503))


@router.post("", responses=families.SESSION.errors(413))
async def sign_in(
    services: ServicesDep,
    request: Request,
    response: Response,
    body: SignIn,
    sec_fetch_site: Annotated[str, Header(include_in_schema=False)] = "same-origin",
) -> Session:
    """Exchange a key for a session, which ends with the key, and in twelve hours at the latest."""
    if sec_fetch_site != "same-origin":
        raise CrossSite("Sign in on the console's own page.")
    services.sign_ins.count(request.client.host if request.client else "")
    await services.registry.refresh()
    principal = services.registry.by_key(body.key)
    if principal is None:
        raise Unauthorized("The server does not accept this key.")
    token = await asyncio.to_thread(services.principals.sign_in, body.key)
    await services.registry.refresh(max_age_s=0)
    response.set_cookie(
        COOKIE,
        token,
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=services.settings.public_url.startswith("https:"),
    )
    return Session(object="session", principal=principal.name, scopes=sorted(principal.scopes), signed_in=True)


@router.get("")
async def session(principal: PrincipalDep, request: Request) -> Session:
    """Who calls."""
    signed_in = COOKIE in request.cookies
    return Session(object="session", principal=principal.name, scopes=sorted(principal.scopes), signed_in=signed_in)


@router.delete("")
async def sign_out(services: ServicesDep, _: PrincipalDep, request: Request, response: Response) -> SessionEnded:
    """End the session."""
    await asyncio.to_thread(services.principals.sign_out, request.cookies.get(COOKIE, ""))
    await services.registry.refresh(max_age_s=0)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return SessionEnded(object="session", deleted=True)
