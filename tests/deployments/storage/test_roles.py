"""Temporary credentials, on a real S3 server: URLs that outlive them, renewal in time, every way of the chain."""

import asyncio
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from deployments.storage import ObjectStore, SignatureInvalid, aws
from pipelines.contracts.errors import Overloaded
from tests.roles import Role, serving_role
from tests.s3 import S3Server

TWO_HOURS_S = 7200
KEY = "sam/a.png"


@pytest.fixture
def role(s3_server: S3Server) -> Iterator[Role]:
    with serving_role(s3_server) as role:
        yield role


@pytest.fixture
def container(role: Role, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Role:
    role.assume(monkeypatch, "container", tmp_path)
    return role


def opened(s3_server: S3Server) -> ObjectStore:
    return ObjectStore.open(f"s3://{s3_server.bucket}/roles", public_url="http://product")


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        body: bytes = answer.read()
        return body


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@pytest.mark.parametrize("way", ["container", "web identity", "process"])
async def test_every_way_of_the_chain(
    role: Role, s3_server: S3Server, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    role.assume(monkeypatch, way, tmp_path)
    store = opened(s3_server)
    await store.put_bytes(KEY, b"bytes", "image/png")
    url = await store.sign(KEY)
    assert url.startswith(f"{s3_server.endpoint}/{s3_server.bucket}/roles/{KEY}?")
    assert query_of(url)["X-Amz-Security-Token"].startswith("token-")
    assert fetched(url) == b"bytes"
    assert await store.sweep(3600, ["sam"]) == 0
    await store.delete(KEY)


async def test_a_role_of_one_hour_cannot_sign_for_two(container: Role, s3_server: S3Server) -> None:
    container.lifetime_s = 3600
    store = opened(s3_server)
    await store.put_bytes(KEY, b"bytes", "image/png")
    url = await store.sign(KEY, expires_s=TWO_HOURS_S)
    assert url.startswith(f"http://product/{KEY}?response-content-type=image%2F%2A&expires=")
    await store.verify(KEY, query_of(url))
    await opened(s3_server).verify(KEY, query_of(url))  # another replica
    with pytest.raises(SignatureInvalid):
        await store.verify("sam/b.png", query_of(url))
    assert (await store.sign(KEY, expires_s=1800)).startswith(s3_server.endpoint), "half an hour is within its life"
    await store.delete(KEY)


async def test_credentials_are_renewed_before_a_url_outlives_them(
    container: Role, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    container.lifetime_s = TWO_HOURS_S - 60
    store = opened(s3_server)
    container.lifetime_s = TWO_HOURS_S + 3600
    assert (await store.sign(KEY)).startswith("http://product/"), "just loaded: not asked again yet"
    monkeypatch.setattr(aws, "RENEWAL_INTERVAL_S", 0)
    for _ in range(2):
        assert query_of(await store.sign(KEY))["X-Amz-Security-Token"] == "token-2"
    assert container.handed_out == 2


async def test_a_role_that_cannot_last_is_not_asked_at_every_url(container: Role, s3_server: S3Server) -> None:
    container.lifetime_s = 3600
    store = opened(s3_server)
    for _ in range(20):
        await store.sign(KEY)
    assert container.handed_out == 1


async def test_a_role_that_does_not_answer_is_overloaded_or_covered(
    role: Role, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    role.assume(monkeypatch, "container", tmp_path)
    role.lifetime_s = 3600
    store = opened(s3_server)
    monkeypatch.setattr(aws, "RENEWAL_INTERVAL_S", 0)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/")
    assert (await store.sign(KEY)).startswith("http://product/"), "what there is stays in use"
    with pytest.raises(ValueError, match="credentials"):
        opened(s3_server)


async def test_requests_follow_the_credentials(
    container: Role, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "KEYS_TTL", timedelta(seconds=1))
    container.lifetime_s, container.secret_key = 60, "rotated away"
    store = opened(s3_server)
    with pytest.raises(Overloaded):
        await store.put_bytes(KEY, b"bytes", "image/png")
    container.secret_key = s3_server.secret_key
    await asyncio.sleep(0.2)  # obstore asks at most ten times a second
    await store.put_bytes(KEY, b"bytes", "image/png")
    await store.delete(KEY)


async def test_keys_of_the_environment_sign_without_an_expiry(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    url = await opened(s3_server).sign(KEY, expires_s=TWO_HOURS_S)
    assert url.startswith(s3_server.endpoint)
    assert "X-Amz-Security-Token" not in query_of(url)
