"""From exceptions to failures: the status, code and message that a client gets, whatever its family's error body."""

import math
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from deployments.client.errors import INTERNAL_ERROR, DeadlineExceeded
from deployments.jobs.table import TooManyJobs
from deployments.principals.limits import RateLimited
from deployments.principals.principal import Forbidden
from deployments.storage import SignatureInvalid
from pipelines.contracts import errors


class Unauthorized(errors.SensoriumError):
    """No API key, or an unknown one."""

    code = "invalid_api_key"


class CrossSite(errors.SensoriumError):
    """A page of another site calls."""

    code = "cross_site"


class BodyTimeout(errors.SensoriumError):
    """A body that does not come."""

    code = "body_timeout"


STATUS: dict[type[errors.SensoriumError], int] = {
    errors.InvalidInput: 400,
    Unauthorized: 401,
    CrossSite: 403,
    SignatureInvalid: 403,
    Forbidden: 403,
    errors.NotFound: 404,
    BodyTimeout: 408,
    errors.InputTooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.UnusableMedia: 422,
    errors.ModelUnavailable: 503,
    errors.ModelLoading: 503,
    errors.Overloaded: 503,
    TooManyJobs: 429,
    RateLimited: 429,
    errors.StorageFull: 503,
    DeadlineExceeded: 504,
}
"""Status of each error; a subclass without a line of its own has its parent's."""


@dataclass(frozen=True)
class Failure:
    """What a client learns of an error."""

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after_s: float | None = None

    def headers(self) -> dict[str, str]:
        """`Retry-After` and `WWW-Authenticate` if they apply."""
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(self.retry_after_s))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


INTERNAL = Failure(500, *INTERNAL_ERROR)
HTTP_FAILURES = {
    404: Failure(404, "not_found", "No such route."),
    405: Failure(405, "method_not_allowed", "This route does not support that method."),
}
"""Of the errors that Starlette raises itself; any other is a body that FastAPI could not parse."""


def describe(error: Exception) -> Failure:
    """What the client learns of an error; nothing of one that nobody expected."""
    if isinstance(error, errors.SensoriumError):
        return _describe_own(error)
    if isinstance(error, RequestValidationError):
        return _describe_invalid(error)
    if isinstance(error, HTTPException):
        invalid_body = Failure(error.status_code, "invalid_body", "The body is not valid JSON.")
        return HTTP_FAILURES.get(error.status_code, invalid_body)
    return INTERNAL


def _describe_own(error: errors.SensoriumError) -> Failure:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), INTERNAL.status)
    retry_after_s = getattr(error, "retry_after_s", 30 if isinstance(error, errors.StorageFull) else None)
    return Failure(status, error.code, error.message, getattr(error, "param", None), retry_after_s)


def _describe_invalid(error: RequestValidationError) -> Failure:
    """The first of FastAPI's validation errors, without the value that was sent."""
    first = error.errors()[0]
    param = ".".join(map(str, _place(first, error.body))) or None
    says = _reason(first)
    return Failure(400, "invalid_parameter", f"{param}: {says}" if param else says, param)


def _place(error: dict[str, Any], body: Any) -> list[str | int]:
    """Where an error is: as pydantic says, without the names that it gives to the members of a union."""
    keys: list[str | int] = list(error["loc"])
    if keys[0] in ("query", "path"):
        return keys[1:]
    if keys[0] != "body":  # of a form
        return keys
    absent: list[str | int] = []
    if error["type"] == "missing":
        absent = [keys.pop()]
    elif error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        absent = [error["ctx"]["discriminator"].strip("'")]
    found: list[str | int] = []
    for key in keys[1:]:
        was_sent = key in body if isinstance(body, dict) else isinstance(body, list) and isinstance(key, int)
        if was_sent:
            found.append(key)
            body = body[key]
    return found + absent


def _reason(error: dict[str, Any]) -> str:
    """What is wrong, without the names of our classes."""
    match error["type"]:
        case "model_type" | "model_attributes_type":
            return "Input should be an object"
        case "union_tag_not_found":
            return "Field required"
        case "union_tag_invalid":
            return f"Input should be one of {error['ctx']['expected_tags']}"
    return str(error["msg"])
