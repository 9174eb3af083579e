"""A principal: a person or program with a name, keys, scopes and limits. What it makes belongs to it.

The principal `default` is whoever calls with a key of `SENSORIUM_API_KEYS`, or without any on loopback. What was made
before there were principals is its own.
"""

import hashlib
import re
import secrets
import time
from dataclasses import dataclass, fields
from typing import Any, Literal

from deployments.catalog import CATALOG
from pipelines.contracts.errors import InvalidInput, SensoriumError
from pipelines.knowledge.base import DEFAULT_OWNER

DEFAULT = DEFAULT_OWNER
Access = Literal["read", "write"]
"""What a share allows; who may write may read."""
ADMIN = "admin"
CAPABILITIES = frozenset(CATALOG)
EVERY_SCOPE = CAPABILITIES | {ADMIN}
KEY_BYTES = 32
PREFIX_CHARACTERS = 12
NAME = r"^[A-Za-z0-9][A-Za-z0-9._@|:+-]{0,254}$"


class Forbidden(SensoriumError):
    """The principal is known, but may not do this."""

    code = "insufficient_scope"


@dataclass(frozen=True)
class Limits:
    """How much a principal may use; None is without a limit.

    Attributes:
        requests_per_minute: of each ingress replica.
        concurrent: calls at once, of each ingress replica.
        queued_jobs: jobs that wait.
        bytes_stored: of its documents.
        expires_at: when its key ends, in seconds since 1970.
    """

    requests_per_minute: int | None = None
    concurrent: int | None = None
    queued_jobs: int | None = None
    bytes_stored: int | None = None
    expires_at: float | None = None


@dataclass(frozen=True)
class Principal:
    """One principal.

    Attributes:
        scopes: names of capabilities, and perhaps `admin`.
        key_prefix: the first characters of its key; None if it has none.
        issuer: of its tokens, if it is known by those.
        revoked: it has no access any more; what it has stays.
    """

    name: str
    scopes: frozenset[str]
    limits: Limits = Limits()
    key_prefix: str | None = None
    issuer: str | None = None
    created_at: float = 0.0
    revoked: bool = False

    @property
    def is_active(self) -> bool:
        """Whether it has access now."""
        return not self.revoked and (self.limits.expires_at is None or time.time() < self.limits.expires_at)

    def require(self, scope: str) -> None:
        """See that it has a scope.

        Raises:
            Forbidden: it has not.
        """
        if scope not in self.scopes:
            raise Forbidden(f"This key lacks the scope `{scope}`.")


INSTALLATION = Principal(DEFAULT, EVERY_SCOPE)
"""The principal `default`, unless the table says more of it."""


def new_key() -> str:
    """A key: 256 random bits."""
    return f"sk-{secrets.token_urlsafe(KEY_BYTES)}"


def hash_of(text: str) -> str:
    """What is kept of a key. A random key needs no slow hash: it cannot be guessed."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def check_name(name: str) -> str:
    """The name itself.

    Raises:
        InvalidInput: it cannot be a principal's.
    """
    if not re.fullmatch(NAME, name):
        raise InvalidInput(
            "A name is 1 to 255 letters, digits and `._@|:+-`, and begins with a letter or digit.", "name"
        )
    return name


def check_scopes(scopes: frozenset[str]) -> frozenset[str]:
    """The scopes themselves.

    Raises:
        InvalidInput: one of them does not exist.
    """
    if unknown := scopes - EVERY_SCOPE:
        raise InvalidInput(
            f"No such scope: {', '.join(sorted(unknown))}. Scopes: {', '.join(sorted(EVERY_SCOPE))}.", "scopes"
        )
    return scopes


def limits_of(row: Any) -> Limits:
    """The limits among a row's columns."""
    return Limits(**{field.name: getattr(row, field.name) for field in fields(Limits)})
