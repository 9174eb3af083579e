"""Jobs as their clients see them."""

from typing import Any, Literal

from pydantic import BaseModel

from deployments.http.schemas.errors import ErrorDetail


class JobRecord(BaseModel):
    """A job; times are in seconds since 1970.

    `progress` is 0 to 1 and never falls; `result` is the body that the call would have had, `error` why it failed.
    """

    id: str
    object: Literal["job"]
    route: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: float
    stage: str | None
    engine: str | None
    model: str | None
    attempts: int
    created_at: float
    started_at: float | None
    ended_at: float | None
    expires_at: float | None
    result: dict[str, Any] | None
    error: ErrorDetail | None


class JobRecords(BaseModel):
    """Answer of `/v1/jobs`."""

    object: Literal["list"]
    data: list[JobRecord]
    has_more: bool
