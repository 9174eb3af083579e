"""Objects as files of a local folder, with URLs that the product signs itself."""

import os
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from obstore.store import LocalStore

from deployments.storage.errors import translated
from deployments.storage.names import check_key
from deployments.storage.signing import UrlSigner
from deployments.storage.space import require_space
from pipelines.contracts.errors import NotFound

_UNFINISHED = re.compile(r".*#[0-9]+")  # how obstore names a file that is being written


class LocalFolder:
    """A folder that belongs to the store alone; created, for its owner only, if it does not exist."""

    keeps_content_type = False

    def __init__(self, path: str, public_url: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)
        self._root = Path(path).resolve()
        self.url = str(self._root)
        self.store = LocalStore(self._root)
        signer = UrlSigner(self.store, public_url)
        self.sign, self.verify = signer.sign, signer.verify

    def check(self, key: str) -> None:
        """Refuse an invalid key, and one that a symbolic link leads elsewhere."""
        check_key(key)
        path = self._root / key
        if os.path.realpath(path) != str(path):
            raise NotFound("There is no such file.")

    def require_space(self) -> None:
        """Refuse to write into the disk's reserve."""
        require_space(self._root)

    def open_reader(self, key: str) -> BinaryIO:
        """The file itself."""
        with translated():
            return (self._root / key).open("rb")

    def remove_unfinished(self, prefix: str, before: datetime) -> int:
        """Remove files that dead writers left, last written before a time."""
        removed = 0
        for folder, _, names in os.walk(self._root / prefix):
            for name in filter(_UNFINISHED.fullmatch, names):
                path = Path(folder, name)
                with suppress(FileNotFoundError):  # another replica sweeps too
                    if path.lstat().st_mtime < before.timestamp():
                        path.unlink()
                        removed += 1
        return removed
