"""Objects in a bucket of an S3 server, which signs URLs itself (AWS Signature Version 4).

Credentials, endpoint and region come from the usual environment variables: `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_ENDPOINT_URL`, `AWS_REGION` and so on. Roles (instance profiles, web
identity) are not supported.
"""

import hashlib
import hmac
import io
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from xml.etree import ElementTree

import obstore
from obstore.store import S3Store

from deployments.storage.errors import SignatureInvalid, translated
from deployments.storage.names import check_key

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import ClientConfig

_READ_BYTES = 1 << 20
_TIMEOUT_S = 30


class S3Bucket:
    """A bucket, or what lies under a prefix of it."""

    keeps_content_type = True

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._prefix = parts.path.strip("/")
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY")
        if not parts.netloc or not secret or not os.environ.get("AWS_ACCESS_KEY_ID"):
            raise ValueError(
                "S3 wants s3://bucket/prefix, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
            )
        self._secret = secret
        self.url = url
        self.store = _store(parts.netloc, self._prefix)
        self._bucket = _store(parts.netloc, "")

    def check(self, key: str) -> None:
        """Refuse what is no key."""
        check_key(key)

    def open_reader(self, key: str) -> BinaryIO:
        """A file that fetches what is read of it, a mebibyte at least."""
        with translated():
            size = obstore.head(self.store, key)["size"]
        return io.BufferedReader(_S3File(self.store, key, size), _READ_BYTES)

    def remove_unfinished(self, prefix: str, before: datetime) -> int:
        """Abort multipart uploads that were begun before a time."""
        removed = 0
        for key, upload_id, initiated in list(self._unfinished(f"{self._prefix}/{prefix}/".lstrip("/"))):
            if initiated < before:
                with suppress(FileNotFoundError):  # another replica sweeps too
                    self._request("DELETE", key, {"uploadId": upload_id})
                    removed += 1
        return removed

    def _unfinished(self, prefix: str) -> Iterator[tuple[str, str, datetime]]:
        """Key, id and beginning of each upload under a prefix of the bucket."""
        query = {"uploads": "", "prefix": prefix}
        while True:
            # The answer comes from the operator's own server.
            page = ElementTree.fromstring(self._request("GET", "", query))  # noqa: S314
            for upload in page.iterfind("{*}Upload"):
                key, upload_id, initiated = (
                    upload.findtext(f"{{*}}{tag}", "") for tag in ("Key", "UploadId", "Initiated")
                )
                yield key, upload_id, datetime.fromisoformat(initiated)
            if page.findtext("{*}IsTruncated") != "true":
                return
            query["key-marker"] = page.findtext("{*}NextKeyMarker", "")
            query["upload-id-marker"] = page.findtext("{*}NextUploadIdMarker", "")

    def _request(self, method: Literal["GET", "DELETE"], key: str, query: Mapping[str, str]) -> bytes:
        """Make a call that obstore has no function for.

        Raises:
            FileNotFoundError: the server says 404.
            OSError: it does not answer, or with an error.
        """
        signed = obstore.sign(self._bucket, method, key, timedelta(seconds=_TIMEOUT_S))
        request = urllib.request.Request(_sign_again(signed, method, query, self._secret), method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                raise FileNotFoundError from error
            raise

    def sign(self, key: str, expires_s: int, content_type: str) -> str:
        """S3's own presigned URL."""
        signed = obstore.sign(self.store, "GET", key, timedelta(seconds=expires_s))
        return _sign_again(signed, "GET", {"response-content-type": content_type}, self._secret)

    def verify(self, key: str, query: Mapping[str, str]) -> None:
        """S3 verifies the URLs that it signs; the product signed none."""
        raise SignatureInvalid("The signature of this URL is not valid.")


class _S3File(io.RawIOBase):
    """An object as a file: each read is one ranged request."""

    def __init__(self, store: S3Store, key: str, size: int) -> None:
        self._store = store
        self._key = key
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self._size)
        if self._position >= stop:
            return 0
        with translated():
            data = obstore.get_range(self._store, self._key, start=self._position, end=stop)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def _store(bucket: str, prefix: str) -> S3Store:
    endpoint = next(filter(None, map(os.environ.get, ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"))), "")
    options: ClientConfig = {"connect_timeout": "5s", "timeout": f"{_TIMEOUT_S}s"}
    if endpoint.startswith("http://"):
        options["allow_http"] = True
    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options=options,
        retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=20)},
    )


def _sign_again(url: str, method: str, extra: Mapping[str, str], secret: str) -> str:
    """Add parameters to a presigned URL, and sign it anew.

    obstore signs no parameters but its own; everything else that Signature Version 4 takes (host, date, region, expiry,
    session token) stands in its URL. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    """
    parts = urlsplit(url)
    query = dict(extra) | {name: value for name, value in parse_qsl(parts.query) if name != "X-Amz-Signature"}
    canonical = urlencode(sorted(query.items()), quote_via=quote, safe="")
    request = f"{method}\n{parts.path}\n{canonical}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    scope = query["X-Amz-Credential"].split("/", 1)[1]
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"{query['X-Amz-Algorithm']}\n{query['X-Amz-Date']}\n{scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    sent = urlencode(query, quote_via=quote, safe="")
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{sent}&X-Amz-Signature={key.hex()}"
