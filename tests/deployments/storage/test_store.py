import asyncio
import io
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from deployments.storage import (
    Bucket,
    ObjectStore,
    RangeNotSatisfiable,
    SignatureInvalid,
    image_name,
    parse_range,
    upload_name,
    video_name,
)
from deployments.storage.store import BLOCK_BYTES, PART_BYTES
from pipelines.contracts.errors import InputTooLarge, NotFound, StorageFull

BYTES = random.Random(0).randbytes(2 * PART_BYTES + 7)
OPEN = "from deployments.storage import ObjectStore; store = ObjectStore.open({url!r}, public_url='http://product')\n"


class Case:
    """A fresh store and what an outsider sees of the space that it takes."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.store = ObjectStore.open(url, public_url="http://product/")
        self.before = self.used()

    def used(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file() and ".db" not in path.name)

    async def is_empty(self) -> bool:
        return not [meta async for meta in self.store.list("uploads")] and self.used() - self.before < 10_000


@pytest.fixture(params=["local", "s3"])
async def case(request, tmp_path, monkeypatch):
    if request.param == "local":
        yield Case(str(tmp_path / "store"), tmp_path)
        return
    server = request.getfixturevalue("s3_server")
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    case = Case(f"s3://{server.bucket}/{tmp_path.name}", server.folder)
    yield case
    await case.store.delete_prefix("uploads")


@pytest.fixture
def store(case):
    return case.store


@pytest.fixture
def local(tmp_path):
    return ObjectStore.open(str(tmp_path / "store"), public_url="http://product/")


async def chunks_of(data, size, *, pause_s=0.0):
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await asyncio.sleep(pause_s)


async def put(store, key, data, *, chunk=65_537, max_bytes=None):
    return await store.put_stream(
        key, chunks_of(data, chunk), max_bytes=max_bytes, content_type="application/octet-stream"
    )


async def read(store, key, byte_range=None):
    meta, chunks = await store.stream(key, byte_range)
    return meta, b"".join([chunk async for chunk in chunks])


# -- what is written is read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, len(BYTES)])
async def test_stream_comes_back(store, size):
    assert await put(store, "uploads/a", BYTES[:size]) == size
    meta, data = await read(store, "uploads/a")
    assert data == BYTES[:size]
    assert (meta.key, meta.size, meta.start, meta.stop) == ("uploads/a", size, 0, size)
    assert meta == await store.head("uploads/a")
    assert abs(meta.last_modified.timestamp() - time.time()) < 60
    assert meta.etag[0] == meta.etag[-1] == '"'


async def test_bytes_and_files_come_back(store, tmp_path):
    data, file = BYTES[: 2 * BLOCK_BYTES + 100], tmp_path / "file"
    file.write_bytes(data)
    await store.put_bytes("uploads/bytes", data, "video/mp4")
    await store.put_file("uploads/path", file, "video/mp4")
    opened = io.BytesIO(data)
    opened.seek(100)
    await store.put_file("uploads/opened.mp4", opened, "video/mp4")
    assert (await read(store, "uploads/bytes"))[1] == data
    assert (await read(store, "uploads/path"))[1] == data
    assert (await read(store, "uploads/opened.mp4"))[1] == data[100:]
    assert (await store.head("uploads/opened.mp4")).content_type == "video/mp4"


async def test_reader_seeks_like_a_file(store):
    await store.put_bytes("uploads/a", BYTES, "video/mp4")
    expected, numbers = io.BytesIO(BYTES), random.Random(1)
    with await asyncio.to_thread(store.open_reader, "uploads/a") as reader:
        assert reader.readable()
        assert reader.seekable()
        for _ in range(15):
            place = numbers.choice([(0, numbers.randrange(len(BYTES) + 9)), (1, 5), (2, -numbers.randrange(2_000_000))])
            count = numbers.choice([1, 4, 32_768, 2_000_000])
            assert reader.seek(place[1], place[0]) == expected.seek(place[1], place[0])
            assert reader.read(count) == expected.read(count)
            assert reader.tell() == expected.tell()
        reader.seek(len(BYTES) - 10)
        assert reader.read() == BYTES[-10:]
        with pytest.raises((ValueError, OSError)):
            reader.seek(-1)


RANGE_BYTES = BYTES[: PART_BYTES + 10]
RANGES = [
    ((0, 0), slice(0, 1)),
    ((5, 9), slice(5, 10)),
    ((10, None), slice(10, None)),
    ((None, 7), slice(-7, None)),
    ((3, 10**15), slice(3, None)),
    ((BLOCK_BYTES - 1, BLOCK_BYTES), slice(BLOCK_BYTES - 1, BLOCK_BYTES + 1)),
    ((len(RANGE_BYTES) - 1, None), slice(len(RANGE_BYTES) - 1, None)),
]


async def test_ranges(store):
    await store.put_bytes("uploads/a", RANGE_BYTES, "video/mp4")
    for byte_range, wanted in RANGES:
        meta, data = await read(store, "uploads/a", byte_range)
        assert data == RANGE_BYTES[wanted]
        assert (meta.start, meta.stop, meta.size) == (*wanted.indices(len(RANGE_BYTES))[:2], len(RANGE_BYTES))
    for byte_range in [(len(RANGE_BYTES), None), (10**15, 10**16), (None, 0)]:
        with pytest.raises(RangeNotSatisfiable) as caught:
            await store.stream("uploads/a", byte_range)
        assert caught.value.size == len(RANGE_BYTES)
    await store.put_bytes("uploads/empty", b"", "video/mp4")
    with pytest.raises(RangeNotSatisfiable):
        await store.stream("uploads/empty", (0, None))


async def test_list_and_delete(store):
    for name in ("a", "b/c", "b/d"):
        await store.put_bytes(f"uploads/{name}", b"x", "image/png")
    await store.put_bytes("uploads2/e", b"x", "image/png")
    assert {meta.key async for meta in store.list("uploads")} == {"uploads/a", "uploads/b/c", "uploads/b/d"}
    assert {meta.key async for meta in store.list("nothing/here")} == set()
    await store.delete("uploads/a")
    await store.delete("uploads/a")
    await store.delete("uploads/b")
    await store.delete("nothing/here")
    with pytest.raises(NotFound):
        await store.head("uploads/a")
    assert await store.delete_prefix("uploads/b") == 2
    assert {meta.key async for meta in store.list("uploads")} == set()
    assert await store.delete_prefix("uploads2") == 1


async def test_missing_objects_are_not_found(store):
    await store.put_bytes("uploads/a/b", b"x", "image/png")
    for key in ("uploads/nothing", "uploads/a", "uploads/a/b/c", "uploads/" + "n" * 200):
        for call in (store.head, store.stream):
            with pytest.raises(NotFound):
                await call(key)
        with pytest.raises(NotFound):
            store.open_reader(key)


async def test_pickles_as_its_url(store):
    await store.put_bytes("uploads/a", b"x", "image/png")
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    assert (await read(pickle.loads(pickled), "uploads/a"))[1] == b"x"  # noqa: S301


# -- whole or not at all -------------------------------------------------------------------------------------------


async def test_cap_is_exact_and_leaves_nothing(case):
    for size in (10, BLOCK_BYTES, 2 * PART_BYTES):
        assert await put(case.store, "uploads/a", BYTES[:size], max_bytes=size) == size
        await case.store.delete("uploads/a")
        with pytest.raises(InputTooLarge, match=f"{size:,}-byte limit"):
            await put(case.store, "uploads/a", BYTES[: size + 1], max_bytes=size)
        assert await case.is_empty()


async def test_endless_stream_is_cut_off_at_the_cap(case):
    async def endless():
        while True:
            taken.append(len(BYTES))
            yield BYTES

    taken = []
    async with aclosing(endless()) as chunks:
        with pytest.raises(InputTooLarge):
            await case.store.put_stream("uploads/a", chunks, max_bytes=20_000_000, content_type="video/mp4")
    assert len(taken) == 2
    assert await case.is_empty()


@pytest.mark.parametrize("size", [1000, 2 * PART_BYTES + 1], ids=["small", "multipart"])
async def test_failing_source_leaves_nothing(case, size):
    class Gone(Exception):
        pass

    async def failing():
        yield BYTES[:size]
        raise Gone

    with pytest.raises(Gone):
        await case.store.put_stream("uploads/a", failing(), max_bytes=None, content_type="video/mp4")
    assert await case.is_empty()


async def test_cancelled_at_any_moment_leaves_nothing(case):
    numbers, cancelled = random.Random(2), 0
    for _ in range(8):
        source = chunks_of(BYTES, 400_000, pause_s=0.002)
        writing = asyncio.create_task(
            case.store.put_stream("uploads/a", source, max_bytes=None, content_type="video/mp4")
        )
        await asyncio.sleep(numbers.uniform(0, 0.12))
        writing.cancel()
        try:
            await writing
        except asyncio.CancelledError:
            cancelled += 1
            assert await case.is_empty()
        await source.aclose()
        await case.store.delete("uploads/a")
    assert cancelled >= 2


async def test_cancelled_while_the_last_bytes_are_written_leaves_nothing(case):
    async def source():
        for start in range(0, 2 * PART_BYTES, BLOCK_BYTES):
            yield BYTES[start : start + BLOCK_BYTES]
        asyncio.get_running_loop().call_soon(writing.cancel)  # all is read: the writer is about to finish

    writing = asyncio.create_task(
        case.store.put_stream("uploads/a", source(), max_bytes=None, content_type="video/mp4")
    )
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await case.is_empty()


async def test_readers_see_the_old_object_or_the_new(store):
    old, new = b"o" * (2 * PART_BYTES), b"n" * (2 * PART_BYTES)
    await store.put_bytes("uploads/a", old, "video/mp4")
    writing = asyncio.create_task(store.put_bytes("uploads/a", new, "video/mp4"))
    while not writing.done():
        with await asyncio.to_thread(store.open_reader, "uploads/a") as reader:
            assert await asyncio.to_thread(reader.read, 4) in (b"oooo", b"nnnn")
        assert (await store.head("uploads/a")).size == len(old)
    await writing
    assert (await read(store, "uploads/a"))[1] == new


async def test_same_key_written_at_once_is_one_of_them(store):
    bodies = [bytes([i]) * (PART_BYTES + 1000) for i in range(2)]
    await asyncio.gather(*(put(store, "uploads/a", body) for body in bodies))
    assert (await read(store, "uploads/a"))[1] in bodies


STREAM = """
import asyncio, re
def memory_mb(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
async def body(total, size):
    for _ in range(total // size): yield bytes(size)
async def main():
    before = memory_mb()
    await store.put_stream("uploads/big", body({mib} << 20, {chunk}), max_bytes=None, content_type="video/mp4")
    meta, chunks = await store.stream("uploads/big", (None, 16 << 20))
    assert sum([len(chunk) async for chunk in chunks]) == 16 << 20
    print(meta.size, memory_mb() - before)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("case", "mib", "chunk"), [("local", 64, 64), ("local", 256, 4 << 20), ("s3", 64, 65_536)], indirect=["case"]
)
async def test_memory_does_not_grow_with_the_object(case, mib, chunk):
    code = OPEN.format(url=case.url) + STREAM.format(mib=mib, chunk=chunk)
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, check=True)
    size, used_mb = map(float, done.stdout.split())
    print(f"{mib} MiB in pieces of {chunk} bytes: {used_mb:.1f} MiB of memory")
    assert size == mib << 20
    assert used_mb < 32


# -- what the dead leave behind ------------------------------------------------------------------------------------

ENDLESS = """
import asyncio
async def endless():
    for i in range(10**9):
        yield bytes(1 << 20)
        if i == 12: print("writing", flush=True)
        if i > 12: await asyncio.sleep(0.05)
asyncio.run(store.put_stream("uploads/killed", endless(), max_bytes=None, content_type="video/mp4"))
"""


async def test_killed_writer_shows_nothing_and_its_space_comes_back(case):
    await case.store.put_bytes("uploads/kept", b"x", "image/png")
    command = [sys.executable, "-c", OPEN.format(url=case.url) + ENDLESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:  # noqa: ASYNC220
        assert await asyncio.to_thread(writer.stdout.readline) == b"writing\n"
        writer.send_signal(signal.SIGKILL)
    held = case.used() - case.before
    assert held > PART_BYTES
    assert [meta.key async for meta in case.store.list("uploads")] == ["uploads/kept"]
    assert await case.store.sweep(3600, ["uploads"]) == 0
    await asyncio.sleep(1.1)
    removed = await asyncio.gather(*(case.store.sweep(0, ["uploads"]) for _ in range(3)))
    assert sum(removed) >= 2
    assert await case.is_empty()
    print(f"a killed writer held {held:,} bytes; {case.used() - case.before:,} after the sweep")


async def test_sweep_takes_only_what_is_old_and_named(case):
    for key in ("uploads/old", "sam/old.png"):
        await case.store.put_bytes(key, b"x", "image/png")
    await asyncio.sleep(3.2)
    await case.store.put_bytes("uploads/young", b"x", "image/png")
    await case.store.put_bytes("sam/young.png", b"x", "image/png")
    assert await case.store.sweep(2, ["uploads", "nothing"]) == 1
    assert [meta.key async for meta in case.store.list("uploads")] == ["uploads/young"]
    assert {meta.key async for meta in case.store.list("sam")} == {"sam/old.png", "sam/young.png"}
    await case.store.delete_prefix("sam")


async def test_sweep_leaves_a_living_writer_alone(case):
    writing = asyncio.create_task(
        case.store.put_stream("uploads/a", chunks_of(BYTES, 1 << 20, pause_s=0.05), max_bytes=None, content_type="x/y")
    )
    while not writing.done():
        await case.store.sweep(60, ["uploads"])
        await asyncio.sleep(0.01)
    await writing
    assert (await read(case.store, "uploads/a"))[1] == BYTES


# -- keys ----------------------------------------------------------------------------------------------------------

HOSTILE = [
    "", "/", "/etc/passwd", "..", "../x", "uploads/../../x", "uploads/..", "uploads/.", ".signing-key", "uploads//x",
    "uploads/", "uploads\\x", "uploads/x\0", "uploads/x\n", "%2e%2e/x", "uploads/%2e%2e/x", "uploads/a..b",
    "uploads/x#1", "file:///etc",
    "uploads/.hidden", "～/x", "uploads/" + "x" * 300, "x/" * 50 + "x", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("key", HOSTILE)
async def test_hostile_keys_are_not_found(local, tmp_path, key):
    (tmp_path / "x").write_bytes(b"secret")
    calls = [local.head, local.stream, local.delete, local.delete_prefix, local.sign, lambda key: put(local, key, b"x")]
    for call in calls:
        with pytest.raises(NotFound):
            await call(key)
    with pytest.raises(NotFound):
        local.open_reader(key)
    with pytest.raises(NotFound):
        await local.sweep(0, [key])
    assert (tmp_path / "x").read_bytes() == b"secret"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "x"]


async def test_symbolic_links_lead_nowhere(local, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_bytes(b"secret")
    (tmp_path / "store" / "uploads").mkdir()
    (tmp_path / "store" / "uploads" / "file").symlink_to(tmp_path / "outside" / "x")
    (tmp_path / "store" / "uploads" / "folder").symlink_to(tmp_path / "outside")
    for key in ("uploads/file", "uploads/folder/x", "uploads/folder/new", "uploads/folder"):
        for call in (local.head, local.stream, local.delete, local.delete_prefix, lambda key: put(local, key, b"x")):
            with pytest.raises(NotFound):
                await call(key)
        with pytest.raises(NotFound):
            local.open_reader(key)
    assert [meta.key async for meta in local.list("uploads")] == []
    await asyncio.sleep(0.01)
    assert await local.sweep(0, ["uploads"]) == 0
    assert await local.delete_prefix("uploads") == 0
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["x"]
    assert (tmp_path / "outside" / "x").read_bytes() == b"secret"


def test_names():
    assert len({image_name(Bucket.SEGMENTED) for _ in range(100)}) == 100
    folder, name = image_name(Bucket.GENERATED).split("/")
    assert folder == "stable-diffusion"
    assert name[:8].isalpha()
    assert name[:8].islower()
    assert abs(time.mktime(time.strptime(name[8:20], "%y%m%d%H%M%S")) - time.mktime(time.gmtime())) < 5
    assert name[20:] == ".png"
    for made, start, end in [
        (video_name("static/video"), "static/video/", ".mp4"),
        (video_name("static/img/svd"), "static/img/svd/", ".mp4"),
        (upload_name(), "uploads/", ""),
    ]:
        assert made.startswith(start)
        assert made.endswith(end)
        assert len(made) == len(start) + 36 + len(end)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=0-99", (0, 99)), ("Bytes=5-", (5, None)), ("bytes=-7", (None, 7)), (None, None), ("", None),
        ("bytes=-", None), ("bytes=9-3", None), ("bytes=0-1,5-9", None), ("bytes=a-b", None), ("items=0-1", None),
        ("bytes=-1-2", None), ("bytes=" + "9" * 5000 + "-", None), ("bytes=٣-", None), ("bytes=0-1\n", None),
    ],
)  # fmt: skip
def test_parse_range(header, wanted):
    assert parse_range(header) == wanted


# -- URLs ----------------------------------------------------------------------------------------------------------


def as_served(url):
    parts = urlsplit(url)
    return parts.path[1:], dict(parse_qsl(parts.query, keep_blank_values=True))


async def test_signed_url_is_verified_until_it_expires(local, monkeypatch):
    url = await local.sign("sam/a.png")
    assert url.startswith("http://product/sam/a.png?response-content-type=image%2F%2A&expires=")
    key, query = as_served(url)
    assert 7195 <= int(query["expires"]) - time.time() <= 7200
    await local.verify(key, query)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7190)
    await local.verify(key, query)
    monkeypatch.setattr(time, "time", lambda: now + 7201)
    with pytest.raises(SignatureInvalid, match="expired"):
        await local.verify(key, query)


async def test_any_character_changed_is_refused(local):
    url = await local.sign("sam/a.png")
    served = as_served(url)
    refused = 0
    for place in range(len("http://product/"), len(url)):
        for other in "0aZ/=":
            changed = as_served(url[:place] + other + url[place + 1 :])
            if changed != served:
                refused += 1
                with pytest.raises(SignatureInvalid):
                    await local.verify(*changed)
    assert refused > 500


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "99999999999"}, {"response-content-type": "text/html"}, {"extra": "1"}, {"signature": ""},
        {"signature": "\ud800é"}, {"expires": "\ud800"}, {"expires": "1e9"},
    ],
)  # fmt: skip
async def test_changed_parameters_are_refused(local, change):
    key, query = as_served(await local.sign("sam/a.png"))
    with pytest.raises(SignatureInvalid):
        await local.verify(key, query | change)
    for name in query:
        with pytest.raises(SignatureInvalid):
            await local.verify(key, {other: value for other, value in query.items() if other != name})
    with pytest.raises(SignatureInvalid):
        await local.verify(key, {})


SIGN = """
import asyncio, sys
sys.stdin.read()
print(asyncio.run(store.sign("sam/a.png")))
"""


async def test_processes_that_start_at_once_agree_on_the_key(local):
    command = [sys.executable, "-c", OPEN.format(url=local.url) + SIGN]
    signers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
        for _ in range(6)
    ]
    await asyncio.sleep(3)
    for signer in signers:
        signer.stdin.close()
    urls = [await asyncio.to_thread(signer.stdout.read) for signer in signers]
    for signer in signers:
        signer.stdout.close()
        assert await asyncio.to_thread(signer.wait) == 0
    for url in urls:
        await local.verify(*as_served(url.strip()))


async def test_key_outlives_a_restart_and_is_for_the_owner_only(local):
    url = await local.sign("sam/a.png")
    again = ObjectStore.open(local.url, public_url="http://product")
    await again.verify(*as_served(url))
    assert os.stat(local.url).st_mode & 0o077 == 0


# -- a full disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("disk_kb", [7000, 1000], ids=["one part fits", "not one part fits"])
async def test_full_disk_is_reported_and_leaves_nothing(small_disk, disk_kb):
    store = ObjectStore.open(f"file://{small_disk}", public_url="http://product")
    (small_disk / "ballast").write_bytes(bytes((8 << 20) - disk_kb * 1000))
    free = os.statvfs(small_disk).f_bfree
    for data in (BYTES, BYTES[: disk_kb * 1000 + 9000]):
        with pytest.raises(StorageFull) as caught:
            await put(store, "uploads/a", data)
        assert str(small_disk) not in caught.value.message
        assert [path.name for path in small_disk.rglob("*") if path.is_file()] == ["ballast"]
        assert os.statvfs(small_disk).f_bfree >= free - 2
    await put(store, "uploads/a", BYTES[:500_000])
    assert (await store.head("uploads/a")).size == 500_000


async def test_the_reserve_is_kept_free(small_disk):
    store = ObjectStore.open(f"file://{small_disk}", public_url="http://product")
    await put(store, "uploads/a", BYTES[:100_000])
    (small_disk / "ballast").write_bytes(bytes((8 << 20) - 500_000))
    free = os.statvfs(small_disk).f_bfree
    for _ in range(2):
        with pytest.raises(StorageFull, match="full"):
            await put(store, "uploads/b", b"a small one")
        assert os.statvfs(small_disk).f_bfree >= free - 2
    assert (await read(store, "uploads/a"))[1] == BYTES[:100_000]
    await store.delete("uploads/a")
    (small_disk / "ballast").unlink()
    await put(store, "uploads/b", b"a small one")


async def test_a_job_and_a_result_leave_the_reserve_alone(small_disk, tmp_path, monkeypatch):
    from deployments.capabilities.video_generation import VideoGeneration
    from tests.asgi import app, client

    application, services = app(small_disk, jobs_url=f"sqlite:///{tmp_path}/jobs.sqlite")
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    report = VideoGeneration.writing(None, lambda fraction, stage: None)
    report(0.5, "animating")
    (small_disk / "ballast").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - 300_000))
    with pytest.raises(StorageFull):
        report(0.6, "animating")
    async with client(application) as http:
        asked = {"json": {"prompt": "a pig"}, "headers": {"Prefer": "respond-async"}}
        answer = await http.post("/v1/images/generations", **asked)
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"]["code"] == "storage_full"
        assert answer.headers["retry-after"]
        assert not services.jobs.list_recent(10, None, 0)


@pytest.mark.parametrize("url", ["", "http://x/y", "gs://bucket", "file://host/x"])
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match="object store"):
        ObjectStore.open(url, public_url="http://product")


async def test_file_url_and_path_are_one_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await put(ObjectStore.open("my data", public_url=""), "uploads/a", b"x")
    relative = ObjectStore.open("my data", public_url="")
    monkeypatch.chdir("/")
    for store in (relative, ObjectStore.open((tmp_path / "my data").as_uri(), public_url="")):
        assert (await read(store, "uploads/a"))[1] == b"x"
