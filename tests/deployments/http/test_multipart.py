import asyncio
import hashlib
import random
import re
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from deployments.http.multipart import (
    HEAD_BYTES,
    MAX_OVERHEAD_BYTES,
    MAX_PARTS,
    MAX_SECOND_FILE_BYTES,
    receive_file,
)
from deployments.storage import ObjectStore
from pipelines.contracts.errors import InputTooLarge, InvalidInput, UnusableMedia

BOUNDARY = "----WebKitFormBoundary7MA4YWxk"
HEADER = f"multipart/form-data; boundary={BOUNDARY}"
KEY = "uploads/a"
DATA = random.Random(0).randbytes(100_000)


@pytest.fixture
def store(tmp_path):
    return ObjectStore.open(str(tmp_path / "store"), public_url="http://product")


@pytest.fixture
def left(tmp_path):
    """Names of the files that the store holds."""
    return lambda: [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()]


def part(name, data, extra="", boundary=BOUNDARY):
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + data + b"\r\n"


def form(*parts, boundary=BOUNDARY):
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


FILE = part("image", DATA, '; filename="a.png"')


async def chunks(body, size, pause_s=0.0):
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(pause_s)


async def receive(store, body, *, header=HEADER, max_bytes=10_000_000, chunk=8192, pause_s=0.0, second_field=""):
    return await receive_file(
        chunks(body, chunk, pause_s),
        header,
        field="image",
        second_field=second_field,
        store=store,
        key=KEY,
        max_bytes=max_bytes,
    )


def stored(store):
    with store.open_reader(KEY) as reader:
        return reader.read()


# -- what is accepted ------------------------------------------------------------------------------------------------


async def test_file_among_fields(store):
    body = form(part("prompt", "ein 你好".encode()), FILE, part("seed", b"7"), part("seed", b"8"))
    received = await receive(store, body)
    assert stored(store) == DATA
    assert received.name == "a.png"
    assert received.size == len(DATA)
    assert received.head == DATA[:HEAD_BYTES]
    assert received.sha256 == hashlib.sha256(DATA).hexdigest()
    assert received.fields == {"prompt": "ein 你好", "seed": "8"}


async def test_a_second_file_is_kept_in_memory(store, left):
    mask = part("mask", DATA[::-1], '; filename="mask.png"')
    for body in (form(mask, FILE, part("n", b"2")), form(FILE, part("n", b"2"), mask)):
        received = await receive(store, body, second_field="mask")
        assert stored(store) == DATA
        assert received.second == DATA[::-1]
        assert received.fields == {"n": "2"}
        assert received.sha256 == hashlib.sha256(DATA).hexdigest()
    assert (await receive(store, form(FILE), second_field="mask")).second == b""


async def test_a_second_file_over_its_limit(store, left):
    fitting = form(part("mask", bytes(MAX_SECOND_FILE_BYTES), '; filename="m"'), FILE)
    assert len((await receive(store, fitting, second_field="mask")).second) == MAX_SECOND_FILE_BYTES
    await store.delete(KEY)
    body = form(part("mask", bytes(MAX_SECOND_FILE_BYTES + 1), '; filename="m"'), FILE)
    with pytest.raises(InputTooLarge, match="mask"):
        await receive(store, body, second_field="mask")
    with pytest.raises(InputTooLarge):
        await receive(store, fitting)
    assert left() == []


async def test_a_list_of_one_file(store):
    received = await receive(store, form(part("image[]", DATA, '; filename="a.png"')))
    assert (stored(store), received.name) == (DATA, "a.png")
    with pytest.raises(InvalidInput, match="twice"):
        await receive(store, form(part("image[]", DATA, '; filename="a.png"'), FILE))


async def test_any_cut_into_pieces_gives_the_same(store):
    data = b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n--\r\r\n\n" + DATA[:300] + b"\r\n--" + BOUNDARY.encode()[:5]
    body = form(part("x", b"1"), part("image", data, '; filename="a"'), part("y", b"2"))
    numbers = random.Random(1)
    for cut in [[1] * len(body), *([numbers.choice([1, 2, 3, 30, 200]) for _ in body] for _ in range(30))]:

        async def pieces(cut=cut):
            start = 0
            for size in cut:
                yield body[start : start + size]
                start += size

        received = await receive_file(pieces(), HEADER, field="image", store=store, key=KEY, max_bytes=10_000)
        assert stored(store) == data
        assert received.sha256 == hashlib.sha256(data).hexdigest()
        assert received.head == data
        assert received.fields == {"x": "1", "y": "2"}


async def test_a_client_of_one_byte_every_now_and_then(store):
    body = form(part("image", b"some bytes"))
    received = await receive(store, body, chunk=1, pause_s=0.002)
    assert (received.name, received.size) == ("", 10)


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ("", ""),
        ('; filename="a.png"', "a.png"),
        ("; filename=a.png", "a.png"),
        (';filename="a;b=c.png"', "a;b=c.png"),
        (r'; filename="a \"quoted\" name.png"', 'a "quoted" name.png'),
        ('; filename="年度报告 2024.pdf"', "年度报告 2024.pdf"),
        ("; filename*=UTF-8''%E5%B9%B4%E5%BA%A6.pdf", "年度.pdf"),
        ("; filename=\"x.pdf\"; filename*=utf-8'en'%E2%82%AC%20rates.pdf", "€ rates.pdf"),
        ("; filename*=UTF-8''%E2%82%AC.pdf; filename=\"x.pdf\"", "€.pdf"),
        ("; filename*=iso-8859-1''%A3.pdf", "£.pdf"),
        ("; filename=\"kept.pdf\"; filename*=utf-7''x.pdf", "kept.pdf"),
        ("; filename=\"x; filename*=utf-8''y\"", "x; filename*=utf-8''y"),
        ('; filename="a %22quoted%22 name.png"', 'a "quoted" name.png'),
        ('; filename="../../etc/passwd"', "passwd"),
        (r'; filename="C:\Users\me\a.png"', "a.png"),
        ("; filename*=UTF-8''..%2F..%5Cx%00%0Ay.pdf", "xy.pdf"),
        ('; filename=".."', ""),
        ('; filename="folder/"', ""),
        ('; filename=""', ""),
        ('; filename="' + "长" * 300 + '"', "长" * 255),
        ("; filename*0=a; filename*1=b; filename*", ""),
    ],
)
async def test_file_names(store, extra, name):
    received = await receive(store, form(part("image", b"x", extra)))
    assert received.name == name


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("知识图谱.txt", "gbk"),
        ("语言.txt", "gbk"),  # its bytes are all letters in Latin-1
        ("2023年报告v2.docx", "gbk"),
        ("A组.txt", "gbk"),
        ("鑫淼公司.txt", "gbk"),
        ("Prüfung.txt", "latin-1"),  # and its are a pair of GBK
        ("Größe.txt", "latin-1"),
        ("créée.txt", "latin-1"),
        ("MÜLLER ÄRZTE.txt", "latin-1"),
        ("Øre og æble.txt", "latin-1"),
        ("Année – été.pdf", "cp1252"),
    ],
)
async def test_names_of_old_clients(store, name, encoding):
    body = form(part("image", b"x", '; filename="NAME"').replace(b"NAME", name.encode(encoding)))
    assert (await receive(store, body)).name == name


@pytest.mark.parametrize("boundary", ["x", "a b'()+_,-./:=?", "=" * 70, "--", "b-" * 30])
async def test_odd_boundaries(store, boundary):
    data = f"\r\n--{boundary[:-1]}\r\n--\r\n-\r".encode() + DATA[:5000]
    body = form(part("image", data, boundary=boundary), boundary=boundary)
    for chunk in (1, 7, 4096):
        await receive(store, body, header=f'Multipart/Form-Data; charset=x; boundary="{boundary}"', chunk=chunk)
        assert stored(store) == data


# -- what is refused, leaving nothing ------------------------------------------------------------------------------


async def refused(store, left, body, error, match, **options):
    with pytest.raises(error, match=match) as caught:
        await receive(store, body, **options)
    assert left() == []
    return caught.value


@pytest.mark.parametrize(
    "header",
    [
        "", "application/json", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x",
        "multipart/form-data; boundary=" + "x" * 300, "multipart/form-data; boundary=a\0b",
        "multipart/form-data; boundary=é", "multipart/form-data; boundary=你", "multipart/form-data; boundary=\r\n",
        "multipart/form-data" + ";" * 5000, "image/png",
    ],
)  # fmt: skip
async def test_other_content_types(store, left, header):
    await refused(store, left, form(FILE), InvalidInput, "multipart/form-data", header=header)


async def test_missing_field_names_it(store, left):
    for body in (form(), form(part("img", b"x")), form(part("Image", b"x"))):
        error = await refused(store, left, body, InvalidInput, "no field 'image'")
        assert error.param == "image"


async def test_field_twice(store, left):
    error = await refused(store, left, form(FILE, part("x", b"1"), FILE), InvalidInput, "twice")
    assert error.param == "image"


async def test_empty_file(store, left):
    await refused(store, left, form(part("image", b"", '; filename="a.png"')), UnusableMedia, "empty")


@pytest.mark.parametrize("keep", [0, 1, 30, 100, 5000, -1, -3, -5, -len(BOUNDARY)])
async def test_truncated_anywhere(store, left, keep):
    body = form(part("x", b"1"), FILE).rstrip()
    await refused(store, left, body[:keep], InvalidInput, "truncated")


async def test_truncated_after_its_file(store, left):
    await refused(store, left, FILE + part("x", b"1"), InvalidInput, "truncated")


@pytest.mark.parametrize(
    "body",
    [
        b"hello", b"\0" * 1000, b"--other\r\n\r\nx\r\n--other--\r\n", DATA,
        form(FILE).replace(b"\r\n\r\n", b"\r\nbad header\r\n\r\n", 1),
        form(FILE).replace(b"\r\n\r\n", b"\r\n: x\r\n\r\n", 1),
        form(FILE).replace(b"\r\n\r\n", b"\r\n" + b"x: y\r\n" * 20 + b"\r\n", 1),
        form(FILE).replace(b"\r\n\r\n", b"\r\nx: " + b"y" * 10_000 + b"\r\n\r\n", 1),
        form(FILE).replace(b"\r\n\r\n", b"\n\n", 1),
    ],
)  # fmt: skip
async def test_malformed(store, left, body):
    await refused(store, left, body, InvalidInput, "not a well-formed")


@pytest.mark.parametrize(
    ("disposition", "match"),
    [
        ("form-data", "no name"),
        ("form-data; nam=image", "no name"),
        ("", "not a well-formed"),
        ("attachment; name=image", "not a well-formed"),
        ("form-data name=image", "not a well-formed"),
        ("; name=image", "not a well-formed"),
    ],
)
async def test_part_without_a_name(store, left, disposition, match):
    body = form(FILE).replace(b'form-data; name="image"; filename="a.png"', disposition.encode())
    await refused(store, left, body, InvalidInput, match)


async def test_cap_of_the_file_is_exact(store, left):
    await receive(store, form(FILE), max_bytes=len(DATA))
    await store.delete(KEY)
    await refused(store, left, form(FILE), InputTooLarge, f"{len(DATA) - 1:,}-byte limit", max_bytes=len(DATA) - 1)


async def test_other_fields_are_capped(store, left):
    await receive(store, form(FILE, part("x", b"y" * (MAX_OVERHEAD_BYTES - 1000))))
    await store.delete(KEY)
    big = part("x", b"y" * MAX_OVERHEAD_BYTES)
    for body in (
        form(big, FILE),
        form(FILE, big),
        form(FILE) + b"z" * MAX_OVERHEAD_BYTES,
        b"\r\n" * MAX_OVERHEAD_BYTES,
    ):
        await refused(store, left, body, InputTooLarge, "besides its file")


async def test_parts_are_counted(store, left):
    await receive(store, form(FILE, *[part("x", b"")] * (MAX_PARTS - 1)))
    await store.delete(KEY)
    await refused(store, left, form(FILE, *[part("x", b"")] * MAX_PARTS), InvalidInput, f"{MAX_PARTS} parts")
    began = time.monotonic()
    await refused(
        store,
        left,
        form(*[part("x", b"")] * 10_000, FILE),
        (InvalidInput, InputTooLarge),
        "parts|besides",
        chunk=1 << 20,
    )
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="image"' + "; a" * 2700,
        'form-data; name="image' + "\\" * 8000,
        'form-data; name="image"; filename="' + "\\\\" * 4000 + '"',
        "form-data; name=image; filename*=utf-8'" + "'" * 8000,
        "form-data" + " " * 8000 + "x",
        "form-data; name=image; filename*" + "9" * 8000 + "*=x",
    ],
)
async def test_hostile_headers_cost_no_time(store, disposition):
    body = form(FILE).replace(b'form-data; name="image"; filename="a.png"', disposition.encode())
    began = time.monotonic()
    with suppress(InvalidInput, InputTooLarge):
        await receive(store, body)
    assert time.monotonic() - began < 0.5


async def test_client_that_goes_away_and_cancellation_leave_nothing(store, left):
    class Disconnected(Exception):
        pass

    async def broken():
        yield form(FILE)[:50_000]
        raise Disconnected

    with pytest.raises(Disconnected):
        await receive_file(broken(), HEADER, field="image", store=store, key=KEY, max_bytes=10_000_000)
    assert left() == []
    receiving = asyncio.create_task(receive(store, form(FILE), pause_s=0.01))
    await asyncio.sleep(0.06)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert left() == []


async def test_no_more_is_asked_for_than_is_written(store):
    """Back-pressure: while the store is slow, the client's body waits in the socket, not in memory."""
    asked, written = 0, 0

    class SlowStore:
        async def put_stream(self, key, chunks, **options):
            nonlocal written
            async for chunk in chunks:
                await asyncio.sleep(0.001)
                written += len(chunk)
                assert asked - written < 20_000
            return written

    async def body():
        nonlocal asked
        async for chunk in chunks(form(FILE), 8192):
            asked += len(chunk)
            yield chunk

    received = await receive_file(body(), HEADER, field="image", store=SlowStore(), key=KEY, max_bytes=10**9)
    assert received.size == len(DATA)


BIG = """
import asyncio, re
from deployments.http.multipart import receive_file
from deployments.storage import ObjectStore
def memory_mb(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
async def body(total):
    yield b'--b\\r\\nContent-Disposition: form-data; name="video"; filename="a.mp4"\\r\\n\\r\\n'
    piece = b"\\r\\n--x" * 16384
    for _ in range(total // len(piece)): yield piece
    yield b"\\r\\n--b--"
async def main():
    store = ObjectStore.open({folder!r}, public_url="")
    marks = []
    for total in (20_000_000, 200_000_000):
        got = await receive_file(body(total), "multipart/form-data; boundary=b", field="video", store=store,
                                 key="uploads/big", max_bytes=512_000_000)
        marks.append(memory_mb())
    print(got.size, marks[1] - marks[0])
asyncio.run(main())
"""


async def test_memory_does_not_grow_with_the_body(tmp_path):
    code = BIG.format(folder=str(tmp_path / "store"))
    began = time.monotonic()
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, check=True)
    size, grown_mb = map(float, done.stdout.split())
    print(f"200 MB form: {grown_mb:.1f} MiB more than a 20 MB form; both in {time.monotonic() - began:.1f} s")
    assert size > 199_000_000
    assert grown_mb < 24


async def test_messages_carry_no_library_words(store, left):
    error = await refused(store, left, b"hello", InvalidInput, "form")
    assert not re.search(r"boundary character|offset|index|\(\d+\)", error.message)
