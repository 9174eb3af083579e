"""The product's own signed URLs: HMAC-SHA256 over key, parameters and expiry, with one signing key for all replicas.

For a local folder, and for a bucket whose credentials do not live as long as a URL must. The signing key lies in the
store itself; its name begins with a dot, which no object's key does.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import obstore
from obstore.exceptions import AlreadyExistsError

from deployments.storage.errors import SignatureInvalid, translated

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SIGNING_KEY = ".signing-key"
_SIGNING_KEY_BYTES = 32


class UrlSigner:
    """Signs URLs under `public_url`, and verifies those that come back."""

    def __init__(self, store: "ObjectStore", public_url: str) -> None:
        self._store = store
        self._public_url = public_url.rstrip("/")
        self._signing_key: bytes | None = None

    def sign(self, key: str, expires_s: int, content_type: str) -> str:
        """A URL that lets anybody read the object for `expires_s`."""
        query = {"response-content-type": content_type, "expires": str(int(time.time()) + expires_s)}
        query["signature"] = self._signature(key, query)
        return f"{self._public_url}/{key}?{urlencode(query)}"

    def verify(self, key: str, query: Mapping[str, str]) -> None:
        """Check a URL's parameters.

        Raises:
            SignatureInvalid: not made by `sign`, or expired.
        """
        signed = dict(query)
        given = signed.pop("signature", "").encode(errors="replace")
        if not hmac.compare_digest(given, self._signature(key, signed).encode()):
            raise SignatureInvalid("The signature of this URL is not valid.")
        if int(signed["expires"]) <= time.time():
            raise SignatureInvalid("This URL has expired.")

    def _signature(self, key: str, query: Mapping[str, str]) -> str:
        message = f"{key}?{urlencode(sorted(query.items()), errors='replace')}"
        return hmac.new(self._load_signing_key(), message.encode(errors="replace"), hashlib.sha256).hexdigest()

    def _load_signing_key(self) -> bytes:
        """The one key of all replicas: the first to need it creates it, the others find it."""
        if self._signing_key is None:
            with translated():
                with suppress(AlreadyExistsError):
                    fresh = secrets.token_bytes(_SIGNING_KEY_BYTES)
                    obstore.put(self._store, _SIGNING_KEY, fresh, mode="create")
                key = bytes(obstore.get(self._store, _SIGNING_KEY).bytes())
            if len(key) != _SIGNING_KEY_BYTES:
                raise RuntimeError(f"{_SIGNING_KEY} in the object store is damaged; delete it and start again")
            self._signing_key = key
        return self._signing_key
