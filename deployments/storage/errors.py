"""The store's own errors, and how errors of the storage libraries are translated.

SensoriumError
├── SignatureInvalid       a signed URL that was changed or has expired
└── RangeNotSatisfiable    a range outside the object
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import BaseError

from pipelines.contracts.errors import NotFound, Overloaded, SensoriumError, StorageFull

# obstore reports the operating system's number, and the S3 server's code, in its text only.
_OS_ERROR = re.compile(r"\(os error ([0-9]+)\)")
_FULL = {28, 122}  # ENOSPC, EDQUOT
_NO_FILE = {2, 20, 21, 36}  # ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG
# Ceph; Swift; MinIO; the plain status that others send.
_S3_FULL = re.compile(r"QuotaExceeded|Upload exceeds quota|StorageFull|status code: 507")

logger = logging.getLogger(__name__)


class SignatureInvalid(SensoriumError):
    """A signed URL that was changed or has expired."""

    code = "signature_invalid"


class RangeNotSatisfiable(SensoriumError):
    """None of the requested bytes are in the object, which has `size` of them."""

    code = "range_not_satisfiable"

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message, size)
        self.size = size


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the storage libraries into `NotFound`, `StorageFull` or `Overloaded`; the log keeps their text."""
    try:
        yield
    except (BaseError, BotoCoreError, ClientError, OSError) as error:
        text = str(error)
        found = _OS_ERROR.search(text)
        number = int(found[1]) if found else getattr(error, "errno", None)
        if (isinstance(error, FileNotFoundError) or number in _NO_FILE) and "NoSuchBucket" not in text:
            raise NotFound("There is no such file.") from error
        if number in _FULL or _S3_FULL.search(text):
            raise StorageFull("The object store is full.") from error
        logger.warning("object store: %s", text)
        raise Overloaded("The object store does not respond; try again later.") from error
