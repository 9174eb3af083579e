"""AWS credentials by botocore's default chain: environment, shared files, web identity, container and instance roles.

The credentials of a role are temporary. botocore renews them shortly before they expire, which is early enough for a
request, but a signed URL dies with the credentials that signed it: for that they are renewed earlier.
"""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError
from botocore.session import get_session

if TYPE_CHECKING:
    from obstore.store import S3Credential

TIMEOUT_S = 30
RENEWAL_INTERVAL_S = 60
"""A role whose credentials are always too short is asked for better ones no more often than this."""
KEYS_TTL = timedelta(minutes=6)
"""obstore asks again when five minutes of this are left, so after one; botocore renews at least ten minutes early."""

_CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    connect_timeout=5,
    read_timeout=TIMEOUT_S,
    retries={"mode": "standard", "total_max_attempts": 4},
)


class AwsSession:
    """Credentials that are always current, and clients of S3 that use them. Safe for any number of threads.

    Raises:
        ValueError: no credentials were found.
    """

    def __init__(self, endpoint: str | None, region: str | None) -> None:
        self._endpoint = endpoint
        self._lock = RLock()
        self._begin()
        self.region: str = region or self._session.get_config_variable("region") or "us-east-1"

    def _begin(self) -> None:
        """Go through the chain, which gives fresh credentials."""
        self._began_s = time.monotonic()
        session = get_session()
        try:
            credentials = session.get_credentials()
        except BotoCoreError as error:
            raise ValueError(f"S3 credentials cannot be loaded: {error}") from error
        if credentials is None:
            raise ValueError("No S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or provide a role.")
        self._session, self._credentials, self._client = session, credentials, None

    def __call__(self) -> "S3Credential":
        """The current keys, as obstore takes them."""
        keys = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": datetime.now(UTC) + KEYS_TTL,
        }

    @property
    def client(self) -> Any:
        """A client of S3."""
        with self._lock:
            if self._client is None:
                self._client = self._session.create_client(
                    "s3", region_name=self.region, endpoint_url=self._endpoint, config=_CONFIG
                )
            return self._client

    def lasting_client(self, lifetime_s: int) -> Any | None:
        """A client of S3 whose credentials live for `lifetime_s` more; None if the chain gives none."""
        with self._lock:
            if self._expires_within(lifetime_s) and time.monotonic() - self._began_s >= RENEWAL_INTERVAL_S:
                with suppress(ValueError):  # keep what there is
                    self._begin()
            return None if self._expires_within(lifetime_s) else self.client

    def _expires_within(self, lifetime_s: int) -> bool:
        if not isinstance(self._credentials, RefreshableCredentials):
            return False  # without an expiry
        self._credentials.get_frozen_credentials()  # some are loaded at their first use
        return bool(self._credentials.refresh_needed(lifetime_s))
