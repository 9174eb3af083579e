import asyncio
import time
import urllib.error
import urllib.request

import pytest

from deployments.storage import ObjectStore
from pipelines.contracts.errors import Overloaded, StorageFull

IMAGE = b"\x89PNG" + bytes(range(256)) * 40


@pytest.fixture
def s3(s3_server, monkeypatch):
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
async def store(s3):
    store = ObjectStore.open(f"s3://{s3.bucket}/signed", public_url="http://product")
    yield store
    await store.delete_prefix("sam")


def fetch(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.headers["content-type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read()


async def test_signed_url_is_the_servers_own(store, s3):
    await store.put_bytes("sam/a.png", IMAGE, "image/png")
    url = await store.sign("sam/a.png")
    assert url.startswith(
        f"{s3.endpoint}/{s3.bucket}/signed/sam/a.png?response-content-type=image%2F%2A&X-Amz-Algorithm="
    )
    assert "X-Amz-Expires=7200" in url
    assert fetch(url) == (200, "image/*", IMAGE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a.png?", "b.png?"),
        ("image%2F", "video%2F"),
        ("X-Amz-Expires=60", "X-Amz-Expires=99"),
        ("Signature=", "Signature=0"),
    ],
)
async def test_changed_signed_url_is_refused(store, old, new):
    for name in ("a", "b"):
        await store.put_bytes(f"sam/{name}.png", IMAGE, "image/png")
    url = await store.sign("sam/a.png", expires_s=60)
    assert fetch(url)[0] == 200
    assert fetch(url.replace(old, new))[0] == 403


async def test_one_character_of_the_signature_changed_is_refused(store):
    await store.put_bytes("sam/a.png", IMAGE, "image/png")
    url = await store.sign("sam/a.png")
    assert fetch(url[:-1] + ("0" if url[-1] != "0" else "1"))[0] == 403


async def test_expired_signed_url_is_refused(store):
    await store.put_bytes("sam/a.png", IMAGE, "image/png")
    url = await store.sign("sam/a.png", expires_s=2)
    assert fetch(url)[0] == 200
    await asyncio.sleep(3.1)
    assert fetch(url)[0] == 403


async def test_content_type_is_kept(store):
    await store.put_bytes("sam/a", IMAGE, "image/webp")
    assert (await store.head("sam/a")).content_type == "image/webp"


@pytest.mark.parametrize("size", [2_000_000, 12_000_000], ids=["one request", "multipart"])
async def test_bucket_over_its_quota_is_storage_full(s3, size):
    store = ObjectStore.open(f"s3://{s3.full_bucket}", public_url="http://product")
    await store.put_bytes("sam/fits", b"x" * 1000, "image/png")
    with pytest.raises(StorageFull, match="full"):
        await store.put_bytes("sam/big", b"x" * size, "image/png")
    assert [meta.key async for meta in store.list("sam")] == ["sam/fits"]
    await store.delete("sam/fits")


async def test_unreachable_server_is_overloaded_soon(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = ObjectStore.open(f"s3://{s3.bucket}", public_url="http://product")
    began = time.monotonic()
    with pytest.raises(Overloaded, match="does not respond") as caught:
        await store.put_bytes("sam/a", b"x", "image/png")
    assert "127.0.0.1" not in caught.value.message
    with pytest.raises(Overloaded):
        await store.sweep(0, ["sam"])
    print(f"reported after {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < 45


async def test_wrong_secret_and_missing_bucket_are_no_missing_file(s3, monkeypatch):
    store = ObjectStore.open("s3://no-such-bucket", public_url="http://product")
    with pytest.raises(Overloaded):
        await store.put_bytes("sam/a", b"x", "image/png")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    store = ObjectStore.open(f"s3://{s3.bucket}", public_url="http://product")
    with pytest.raises(Overloaded):
        await store.head("sam/a")


def test_missing_credentials_are_reported_at_once(monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(ValueError, match="AWS_SECRET_ACCESS_KEY"):
        ObjectStore.open("s3://bucket", public_url="http://product")
