"""Objects as files of a local folder. The product signs their URLs itself, with a key that lies in the folder."""

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore

from deployments.storage.errors import SignatureInvalid, translated
from deployments.storage.names import check_key
from pipelines.contracts.errors import NotFound

_SIGNING_KEY = ".signing-key"
_SIGNING_KEY_BYTES = 32
_UNFINISHED = re.compile(r".*#[0-9]+")  # how obstore names a file that is still being written


class LocalFolder:
    """A folder that belongs to the store alone; made for its owner's eyes only where it does not exist."""

    keeps_content_type = False

    def __init__(self, path: str, public_url: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)
        self._root = Path(path).resolve()
        self._public_url = public_url.rstrip("/")
        self._signing_key: bytes | None = None
        self.url = str(self._root)
        self.store = LocalStore(self._root)

    def check(self, key: str) -> None:
        """Refuse what is no key, and a key that a symbolic link would take elsewhere."""
        check_key(key)
        path = self._root / key
        if os.path.realpath(path) != str(path):
            raise NotFound("There is no such file.")

    def open_reader(self, key: str) -> BinaryIO:
        """The file itself."""
        with translated():
            return (self._root / key).open("rb")

    def remove_unfinished(self, prefix: str, before: datetime) -> int:
        """Remove files of dead writers that were last written to before a time."""
        removed = 0
        for folder, _, names in os.walk(self._root / prefix):
            for name in filter(_UNFINISHED.fullmatch, names):
                path = Path(folder, name)
                with suppress(FileNotFoundError):  # another replica sweeps too
                    if path.lstat().st_mtime < before.timestamp():
                        path.unlink()
                        removed += 1
        return removed

    def sign(self, key: str, expires_s: int, content_type: str) -> str:
        """A URL of the product's own, signed with HMAC-SHA256 over key, parameters and expiry."""
        query = {"response-content-type": content_type, "expires": str(int(time.time()) + expires_s)}
        query["signature"] = self._signature(key, query)
        return f"{self._public_url}/{key}?{urlencode(query)}"

    def verify(self, key: str, query: Mapping[str, str]) -> None:
        """Refuse what `sign` did not make, or made too long ago."""
        signed = dict(query)
        given = signed.pop("signature", "").encode(errors="replace")
        if not hmac.compare_digest(given, (self._signature(key, signed)).encode()):
            raise SignatureInvalid("The signature of this URL is not valid.")
        if int(signed["expires"]) <= time.time():
            raise SignatureInvalid("This URL has expired.")

    def _signature(self, key: str, query: Mapping[str, str]) -> str:
        message = f"{key}?{urlencode(sorted(query.items()), errors='replace')}"
        return hmac.new(self._load_signing_key(), message.encode(errors="replace"), hashlib.sha256).hexdigest()

    def _load_signing_key(self) -> bytes:
        """The one key of all replicas: the first to need it makes it, the others find it."""
        if self._signing_key is None:
            with translated():
                with suppress(AlreadyExistsError):
                    fresh = secrets.token_bytes(_SIGNING_KEY_BYTES)
                    obstore.put(self.store, _SIGNING_KEY, fresh, mode="create")
                key = bytes(obstore.get(self.store, _SIGNING_KEY).bytes())
            if len(key) != _SIGNING_KEY_BYTES:
                raise RuntimeError(f"{_SIGNING_KEY} in the object store is damaged; delete it and start again")
            self._signing_key = key
        return self._signing_key
