"""Principals and sessions."""

from dataclasses import asdict
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from deployments.principals.principal import NAME, Principal


class SignIn(BaseModel):
    """Body of `POST /v1/session`."""

    key: str = Field(min_length=1, max_length=512)


class Session(BaseModel):
    """Who calls, and whether by a session."""

    object: Literal["session"]
    principal: str
    scopes: list[str]
    signed_in: bool


class SessionEnded(BaseModel):
    """Answer of `DELETE /v1/session`."""

    object: Literal["session"]
    deleted: Literal[True]


class _Limits(BaseModel):
    requests_per_minute: int | None = Field(None, ge=1, lt=2**31)
    concurrent: int | None = Field(None, ge=1, lt=2**31)
    queued_jobs: int | None = Field(None, ge=1, lt=2**31)
    bytes_stored: int | None = Field(None, ge=1, lt=2**63)
    expires_at: float | None = Field(None, allow_inf_nan=False, description="Seconds since 1970")


class NewPrincipal(_Limits):
    """Body of `POST /v1/principals`; a limit that is not given is none."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=NAME)
    scopes: list[str] | None = Field(None, description="By default every capability, and not `admin`")


class PrincipalRecord(_Limits):
    """A principal."""

    object: Literal["principal"]
    name: str
    scopes: list[str]
    key_prefix: str | None
    issuer: str | None
    created_at: float
    revoked: bool

    @classmethod
    def of(cls, principal: Principal, **further: Any) -> Self:
        """The record of a principal."""
        return cls(
            object="principal",
            name=principal.name,
            scopes=sorted(principal.scopes),
            key_prefix=principal.key_prefix,
            issuer=principal.issuer,
            created_at=principal.created_at,
            revoked=principal.revoked,
            **asdict(principal.limits),
            **further,
        )


class PrincipalWithKey(PrincipalRecord):
    """A principal with its new key."""

    key: str


class PrincipalList(BaseModel):
    """Answer of `/v1/principals`."""

    object: Literal["list"]
    data: list[PrincipalRecord]
