"""Limits of calls: how many a minute, how many at once. Each ingress replica counts for itself.

A minute's requests may come all at once; after that they come back one by one, at the rate of the limit.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from deployments.principals.principal import Principal
from pipelines.contracts.errors import Overloaded

QUOTA_RETRY_S = 3600
MAX_SIGN_INS = 10
"""Attempts in a minute from one address."""


class RateLimited(Overloaded):
    """The principal is at its limit of calls."""

    code = "rate_limit_exceeded"


class QuotaExceeded(RateLimited):
    """The principal is at its limit of stored bytes."""

    code = "quota_exceeded"


@dataclass
class _Bucket:
    requests: float  # that may come now
    filled_s: float
    running: int = 0


class SignIns:
    """Counts who tried to sign in, by address: nobody may try many keys."""

    def __init__(self) -> None:
        self._tried_s: dict[str, list[float]] = {}

    def count(self, address: str) -> None:
        """Count one attempt.

        Raises:
            RateLimited: there were `MAX_SIGN_INS` from this address in the last minute.
        """
        now_s = time.monotonic()
        latest = {each: [at_s for at_s in tried_s if now_s - at_s < 60] for each, tried_s in self._tried_s.items()}
        self._tried_s = {each: tried_s for each, tried_s in latest.items() if tried_s}
        tried_s = self._tried_s.setdefault(address, [])
        if len(tried_s) >= MAX_SIGN_INS:
            raise RateLimited("Too many attempts to sign in.", math.ceil(60 - (now_s - tried_s[0])))
        tried_s.append(now_s)


class Limiter:
    """Counts the calls of all principals in one process."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    @contextmanager
    def admit(self, principal: Principal) -> Iterator[None]:
        """Count one call for as long as it lasts.

        Raises:
            RateLimited: the principal is at a limit.
        """
        bucket, limits = self._filled(principal), principal.limits
        if limits.concurrent is not None and bucket.running >= limits.concurrent:
            raise RateLimited(f"{bucket.running} calls of yours are running; wait until one has ended.", 1)
        if limits.requests_per_minute is not None:
            if bucket.requests < 1:
                wait_s = math.ceil((1 - bucket.requests) * 60 / limits.requests_per_minute)
                raise RateLimited(f"The limit is {limits.requests_per_minute:,} requests a minute.", wait_s)
            bucket.requests -= 1
        bucket.running += 1
        try:
            yield
        finally:
            bucket.running -= 1

    def headers(self, principal: Principal) -> dict[str, str]:
        """How much of the minute's requests is left, as OpenAI says it."""
        limit = principal.limits.requests_per_minute
        if limit is None:
            return {}
        requests = self._filled(principal).requests
        return {
            "x-ratelimit-limit-requests": str(limit),
            "x-ratelimit-remaining-requests": str(math.floor(requests)),
            "x-ratelimit-reset-requests": f"{(limit - requests) * 60 / limit:.2f}s",
        }

    def _filled(self, principal: Principal) -> _Bucket:
        limit = principal.limits.requests_per_minute or 0
        now_s = time.monotonic()
        bucket = self._buckets.setdefault(principal.name, _Bucket(limit, now_s))
        bucket.requests = min(limit, bucket.requests + (now_s - bucket.filled_s) * limit / 60)
        bucket.filled_s = now_s
        return bucket
