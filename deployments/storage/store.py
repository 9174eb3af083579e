"""The object store that all deployments and routes read and write.

An object appears whole or not at all: a failed, cancelled or killed writer leaves nothing visible, and `sweep` reclaims
the space of a killed one. All replicas may use one store at the same time.

It knows nothing of what the bytes are. A local folder stores no content types: there the extension decides.

obstore's blocking functions are called in threads: its asynchronous ones end each call in a thread of their own that
still takes Python's lock, and a process that exits at that moment aborts.
"""

import asyncio
import functools
import mimetypes
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

import obstore

from deployments.storage.errors import translated
from deployments.storage.local import LocalFolder
from deployments.storage.names import ByteRange, span
from deployments.storage.s3 import S3Bucket
from pipelines.contracts.errors import InputTooLarge, NotFound, Overloaded

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore import ObjectMeta as Entry

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = ThreadPoolExecutor(max_workers=32, thread_name_prefix="object-store")

BLOCK_BYTES = 1 << 20
"""Size of each read, and of what is passed to the writer at once."""

PART_BYTES = 5 << 20
"""Part of a multipart upload: the minimum of S3, and what one upload holds in memory beside a block or two."""


@dataclass(frozen=True)
class ObjectMeta:
    """An object's metadata.

    Attributes:
        key: its name in the store.
        size: in bytes.
        last_modified: UTC.
        etag: strong validator, in its quotes.
        content_type: as stored on S3; by the key's extension in a local folder.
        start: first byte of the stream that comes with this.
        stop: one past its last byte.
    """

    key: str
    size: int
    last_modified: datetime
    etag: str
    content_type: str
    start: int
    stop: int


class ObjectStore:
    """One store, as one process uses it. Pickles as its URL.

    A key is a relative path (see `names.check_key`); for any other text every method raises `NotFound`. Every method
    may raise `Overloaded`: the store does not respond.
    """

    def __init__(self, backend: LocalFolder | S3Bucket, public_url: str) -> None:
        self.url = backend.url
        self.public_url = public_url
        self._backend = backend
        self._store = backend.store

    @classmethod
    def open(cls, url: str, *, public_url: str) -> "ObjectStore":
        """Open a store. Creates a missing folder; of S3, it looks for credentials only.

        Args:
            url: `s3://bucket/prefix`, `file:///folder` or a path.
            public_url: URL at which clients reach the product, for the URLs that it signs itself.

        Raises:
            ValueError: a URL of another kind, or S3 without credentials.
        """
        parts = urlsplit(url)
        if parts.scheme == "s3":
            return cls(S3Bucket(url, public_url), public_url)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            return cls(LocalFolder(unquote(parts.path), public_url), public_url)
        if url and "://" not in url:
            return cls(LocalFolder(url, public_url), public_url)
        raise ValueError("the object store's URL must be a path, file:///folder or s3://bucket/prefix")

    def __reduce__(self) -> tuple[Callable[[], "ObjectStore"], tuple[()]]:
        return functools.partial(ObjectStore.open, self.url, public_url=self.public_url), ()

    async def put_stream(
        self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int | None, content_type: str
    ) -> int:
        """Write an object as its bytes arrive, with one part in memory however many they are.

        Args:
            key: of the object; an existing one is replaced.
            chunks: bytes, in pieces of any size. What it raises passes through.
            max_bytes: refuse more than this.
            content_type: stored on S3.

        Returns:
            Bytes written.

        Raises:
            InputTooLarge: more than `max_bytes`; nothing is stored.
            StorageFull: no space; nothing is stored.
        """
        self._backend.check(key)
        attributes = {"Content-Type": content_type} if self._backend.keeps_content_type else None
        writer = obstore.open_writer(self._store, key, attributes=attributes, buffer_size=PART_BYTES, max_concurrency=1)
        size = 0
        try:
            async with aclosing(_in_blocks(chunks)) as blocks:
                async for block in blocks:
                    self._backend.require_space()
                    size += len(block)
                    if max_bytes is not None and size > max_bytes:
                        raise InputTooLarge(f"The file exceeds the {max_bytes:,}-byte limit.")
                    await _to_its_end(writer.write, block)
        except BaseException as error:
            with suppress(Overloaded):  # the first error matters; a sweep removes what could not be aborted
                await _to_its_end(writer.__exit__, type(error), error, None)
            raise
        try:
            await _to_its_end(writer.close)
        except asyncio.CancelledError:
            await self.delete(key)
            raise
        return size

    async def put_bytes(self, key: str, data: bytes, content_type: str) -> int:
        """Write an object from memory; see `put_stream`."""
        return await self.put_stream(key, _pieces(data), max_bytes=None, content_type=content_type)

    async def put_file(self, key: str, file: Path | BinaryIO, content_type: str) -> int:
        """Write an object from a file, from its current position; see `put_stream`."""
        if isinstance(file, Path):
            with await asyncio.to_thread(file.open, "rb") as opened:
                return await self.put_file(key, opened, content_type)
        return await self.put_stream(key, _read(file), max_bytes=None, content_type=content_type)

    def open_reader(self, key: str) -> BinaryIO:
        """Open an object to read and seek. Blocks: for the threads of engines.

        Raises:
            NotFound: no such object.
        """
        self._backend.check(key)
        return self._backend.open_reader(key)

    async def head(self, key: str) -> ObjectMeta:
        """An object's metadata.

        Raises:
            NotFound: no such object.
        """
        self._backend.check(key)
        result = await _in_thread(obstore.get, self._store, key, options={"head": True})
        return _meta(result.meta, result.attributes.get("Content-Type"))

    async def stream(self, key: str, byte_range: ByteRange | None = None) -> tuple[ObjectMeta, AsyncIterator[bytes]]:
        """Read an object, or a part of it, block by block; a slow reader holds one block and no connection.

        Raises:
            NotFound: no such object.
            RangeNotSatisfiable: none of the wanted bytes exist.
        """
        meta = await self.head(key)
        start, stop = span(byte_range, meta.size)
        meta = replace(meta, start=start, stop=stop)
        return meta, self._blocks(meta)

    async def _blocks(self, meta: ObjectMeta) -> AsyncIterator[bytes]:
        for start in range(meta.start, meta.stop, BLOCK_BYTES):
            yield await _in_thread(self._block, meta, start, min(start + BLOCK_BYTES, meta.stop))

    def _block(self, meta: ObjectMeta, start: int, stop: int) -> bytes:
        options: GetOptions = {"range": (start, stop), "if_match": meta.etag}
        return bytes(obstore.get(self._store, meta.key, options=options).bytes())

    async def list(self, prefix: str) -> AsyncIterator[ObjectMeta]:
        """All objects under a folder, in any order."""
        self._backend.check(prefix)
        batches = obstore.list(self._store, prefix)
        while batch := await _in_thread(next, batches, None):
            for entry in batch:
                with suppress(NotFound):  # something else that was put there, under an invalid key
                    self._backend.check(entry["path"])
                    yield _meta(entry, None)

    async def delete(self, key: str) -> None:
        """Remove an object, if it exists."""
        self._backend.check(key)
        with suppress(NotFound):
            await _in_thread(obstore.delete, self._store, key)

    async def delete_prefix(self, prefix: str) -> int:
        """Remove all objects under a folder; returns how many."""
        return await self._delete_where(prefix, lambda meta: True)

    async def sweep(self, older_than_s: float, prefixes: Iterable[str], spared: Collection[str] = ()) -> int:
        """Remove objects older than `older_than_s` under each of `prefixes`, and what dead writers left there.

        The keys in `spared` stay. A writer counts as dead once its upload is older than that (in a local folder: was
        not written to for that long). Several replicas may sweep at once.

        Returns:
            How many objects and unfinished uploads were removed.
        """
        before = datetime.now(UTC) - timedelta(seconds=older_than_s)
        removed = 0
        for prefix in prefixes:
            removed += await self._delete_where(
                prefix, lambda meta: meta.last_modified < before and meta.key not in spared
            )
            removed += await _in_thread(self._backend.remove_unfinished, prefix, before)
        return removed

    async def _delete_where(self, prefix: str, unwanted: Callable[[ObjectMeta], bool]) -> int:
        removed = 0
        async for meta in self.list(prefix):
            if unwanted(meta):
                await self.delete(meta.key)
                removed += 1
        return removed

    async def sign(self, key: str, *, expires_s: int = 7200, content_type: str = "image/*") -> str:
        """An absolute URL that lets anybody read the object for `expires_s`, answered as `content_type`.

        On S3 it is S3's own, unless the credentials expire before the URL. Then, and for a local folder, it is
        `{public_url}/{key}?response-content-type=…&expires=…&signature=…`, and the route that serves it calls `verify`.
        """
        self._backend.check(key)
        return await _in_thread(self._backend.sign, key, expires_s, content_type)

    async def verify(self, key: str, query: Mapping[str, str]) -> None:
        """Check a signed URL that a client requests.

        Args:
            key: path of the URL, decoded once, without the leading slash.
            query: all its parameters, decoded.

        Raises:
            SignatureInvalid: it was changed or has expired.
        """
        await _in_thread(self._backend.verify, key, query)


def _meta(entry: "Entry", content_type: str | None) -> ObjectMeta:
    return ObjectMeta(
        key=entry["path"],
        size=entry["size"],
        last_modified=entry["last_modified"],
        etag=entry["e_tag"] or "",
        content_type=content_type or mimetypes.guess_type(entry["path"])[0] or "application/octet-stream",
        start=0,
        stop=entry["size"],
    )


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with translated():
        return await asyncio.get_running_loop().run_in_executor(_THREADS, functools.partial(function, *args, **kwargs))


async def _to_its_end(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As `_in_thread`, but if cancelled it waits for the end: the next call must not overlap this one."""
    task = asyncio.ensure_future(_in_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()
        raise


async def _in_blocks(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Regroup into blocks of `BLOCK_BYTES`: a client that sends single bytes must not cost an object each."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        while len(buffer) >= BLOCK_BYTES:
            with memoryview(buffer) as view:
                block = bytes(view[:BLOCK_BYTES])
            yield block
            del buffer[:BLOCK_BYTES]
    if buffer:
        yield bytes(buffer)


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), BLOCK_BYTES):
        yield data[start : start + BLOCK_BYTES]


async def _read(file: BinaryIO) -> AsyncIterator[bytes]:
    while block := await asyncio.to_thread(file.read, BLOCK_BYTES):
        yield block
