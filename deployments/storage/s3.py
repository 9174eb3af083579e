"""Objects in a bucket of an S3 server, with URLs that the server itself verifies (AWS Signature Version 4).

Credentials: see `aws.py`. Endpoint and region come from the usual environment variables: `AWS_ENDPOINT_URL`,
`AWS_REGION` and so on.
"""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

from deployments.storage.aws import TIMEOUT_S, AwsSession
from deployments.storage.errors import translated
from deployments.storage.names import check_key
from deployments.storage.signing import UrlSigner

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore.store import ClientConfig

_READ_BYTES = 1 << 20


class S3Bucket:
    """A bucket, or a prefix of it."""

    keeps_content_type = True

    def __init__(self, url: str, public_url: str) -> None:
        parts = urlsplit(url)
        if not parts.netloc:
            raise ValueError("an S3 store's URL must be s3://bucket/prefix")
        self.url = url
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/")
        endpoints = map(os.environ.get, ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
        endpoint = next(filter(None, endpoints), None)
        self._session = AwsSession(endpoint, os.environ.get("AWS_REGION"))
        self.store = _store(self._bucket, self._prefix, endpoint, self._session)
        self._signer = UrlSigner(self.store, public_url)
        self.verify = self._signer.verify

    def check(self, key: str) -> None:
        """Refuse an invalid key."""
        check_key(key)

    def require_space(self) -> None:
        """The server's own business."""

    def open_reader(self, key: str) -> BinaryIO:
        """A file that fetches what is read of it, a mebibyte at least."""
        with translated():
            size = obstore.head(self.store, key)["size"]
        return io.BufferedReader(_S3File(self.store, key, size), _READ_BYTES)

    def remove_unfinished(self, prefix: str, before: datetime) -> int:
        """Abort multipart uploads that were started before a time."""
        client, removed = self._session.client, 0
        gone = (client.exceptions.NoSuchUpload, client.exceptions.NoSuchKey)  # AWS's, and Swift's
        for upload in list(self._unfinished(self._full_key(f"{prefix}/"))):
            if upload["Initiated"] < before:
                with suppress(*gone):  # another replica sweeps too
                    client.abort_multipart_upload(Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                    removed += 1
        return removed

    def _unfinished(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        pages = self._session.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        for page in pages:
            yield from page.get("Uploads", ())

    def sign(self, key: str, expires_s: int, content_type: str) -> str:
        """S3's own presigned URL; the product's own if no credentials live as long as the URL."""
        client = self._session.lasting_client(expires_s)
        if client is None:
            return self._signer.sign(key, expires_s, content_type)
        target = {"Bucket": self._bucket, "Key": self._full_key(key), "ResponseContentType": content_type}
        url: str = client.generate_presigned_url("get_object", Params=target, ExpiresIn=expires_s)
        return url

    def _full_key(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key


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
            raise ValueError("negative seek position")
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


def _store(bucket: str, prefix: str, endpoint: str | None, session: AwsSession) -> S3Store:
    options: ClientConfig = {"connect_timeout": "5s", "timeout": f"{TIMEOUT_S}s"}
    if endpoint is not None and endpoint.startswith("http://"):
        options["allow_http"] = True
    return S3Store(
        bucket,
        prefix=prefix or None,
        endpoint=endpoint,
        region=session.region,
        client_options=options,
        retry_config={"max_retries": 4, "retry_timeout": timedelta(seconds=20)},
        credential_provider=session,
    )
