"""Signing in with a key, and the administration of keys, at the ASGI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from deployments.principals.principal import CAPABILITIES, EVERY_SCOPE
from tests.asgi import KEYED, client
from tests.tenants import Tenants

OWN = {"Sec-Fetch-Site": "same-origin"}


@asynccontextmanager
async def signed_in(tenants: Tenants, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser with a session."""
    async with client(tenants.application) as browser:
        answer = await browser.post("/v1/session", json={"key": key}, headers=OWN)
        assert answer.status_code == 200, answer.text
        yield browser


async def test_a_session_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path, **KEYED)
    async with client(tenants.application) as browser:
        assert (await browser.get("/docs")).status_code == 401
        answer = await browser.post("/v1/session", json={"key": "first"}, headers=OWN)
        assert answer.json()["principal"] == "default"
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("sensorium_session=")
        for attribute in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"):
            assert attribute in cookie
        assert "Secure" not in cookie, "it is served over plain HTTP here"
        assert "first" not in cookie
        for path in ("/docs", "/openapi.json", "/v1/jobs", "/static-offline-docs/swagger-ui.css"):
            assert (await browser.get(path)).status_code == 200, path
        assert (await browser.get("/v1/session")).json()["signed_in"] is True
        token = browser.cookies["sensorium_session"]
        assert (await browser.delete("/v1/session", headers=OWN)).json()["deleted"] is True
        assert "sensorium_session" not in browser.cookies
        browser.cookies.set("sensorium_session", token, domain="127.0.0.1")
        assert (await browser.get("/v1/jobs")).status_code == 401, "the server has forgotten it"


async def test_the_cookie_is_for_own_pages_only(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path, **KEYED)
    async with signed_in(tenants, "first") as browser:
        body = {"input": "x"}
        assert (await browser.post("/v1/embeddings", json=body, headers=OWN)).status_code == 200
        for site in ("cross-site", "same-site", "none", None):
            headers = {} if site is None else {"Sec-Fetch-Site": site}
            refused = await browser.post("/v1/embeddings", json=body, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "cross_site"), site
            allowed = site in (None, "none")
            assert (await browser.get("/v1/jobs", headers=headers)).status_code == (200 if allowed else 403), site
        # a key says by itself who calls
        with_key = {"Authorization": "Bearer first", "Sec-Fetch-Site": "cross-site"}
        assert (await browser.post("/v1/embeddings", json=body, headers=with_key)).status_code == 200
        from_elsewhere = {"Sec-Fetch-Site": "cross-site"}
        assert (await browser.post("/v1/session", json={"key": "first"}, headers=from_elsewhere)).status_code == 403


async def test_attempts_are_limited(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path, **KEYED)
    async with client(tenants.application) as browser:
        tried = [await browser.post("/v1/session", json={"key": f"wrong {n}"}, headers=OWN) for n in range(12)]
        assert [answer.status_code for answer in tried] == [401] * 10 + [429] * 2
        assert 50 < int(tried[-1].headers["retry-after"]) <= 60
        assert (await browser.post("/v1/session", json={"key": "first"}, headers=OWN)).status_code == 429
        # calls with a key go on
        assert (await browser.get("/v1/jobs", headers={"Authorization": "Bearer first"})).status_code == 200


@pytest.mark.parametrize("change", ["revoke", "rotate"])
async def test_a_session_ends_with_its_key(change: str, tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    alice = tenants.add("alice")
    key = alice.headers["Authorization"].removeprefix("Bearer ")
    async with signed_in(tenants, key) as browser:
        assert (await browser.get("/v1/jobs")).status_code == 200
        getattr(tenants.services.principals, change)("alice")
        tenants.services.registry.read()
        assert (await browser.get("/v1/jobs")).status_code == 401


async def test_a_session_of_another_replica_counts_at_once(tmp_path: Path) -> None:
    tenants, other = Tenants(tmp_path, **KEYED), Tenants(tmp_path, **KEYED)
    other.services.registry.read()
    await asyncio.sleep(0.3)
    async with signed_in(tenants, "first") as browser, client(other.application) as there:
        there.cookies.update(browser.cookies)
        assert (await there.get("/v1/jobs")).status_code == 200


async def test_no_token_is_kept(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path, **KEYED)
    async with signed_in(tenants, "first") as browser:
        token = browser.cookies["sensorium_session"]
        kept = b"".join([(tmp_path / f"jobs.sqlite{end}").read_bytes() for end in ("", "-wal")])
        assert b"sessions" in kept
        assert token.encode() not in kept


async def test_keys_are_administered(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    async with tenants.add("ops", EVERY_SCOPE) as ops, tenants.add("alice") as alice:
        made = await ops.post("/v1/principals", json={"name": "bob", "requests_per_minute": 60})
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
        record = made.json()
        assert set(record["scopes"]) == CAPABILITIES
        assert record["requests_per_minute"] == 60
        key = record.pop("key")
        async with tenants.client(key) as bob:
            assert (await bob.get("/v1/session")).json()["principal"] == "bob"
            listed = (await ops.get("/v1/principals")).json()["data"]
            assert [each["name"] for each in listed] == ["alice", "bob", "ops"]
            assert listed[1] == record
            assert key not in str(listed)
            rotated = (await ops.post("/v1/principals/bob/key")).json()["key"]
            assert (await bob.get("/v1/session")).status_code == 401
        async with tenants.client(rotated) as bob:
            assert (await bob.get("/v1/session")).status_code == 200
            assert (await ops.delete("/v1/principals/bob")).json()["revoked"] is True
            assert (await bob.get("/v1/session")).status_code == 401
        for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/bob"), ("POST", "/bob/key")):
            body = {"json": {"name": "eve"}} if (method, path) == ("POST", "") else {}
            refused = await alice.request(method, f"/v1/principals{path}", **body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
        for wrong in (
            {"name": "a b"},
            {"name": "bob"},
            {"name": "x", "scopes": ["all"]},
            {"name": "x", "concurrent": 0},
        ):
            assert (await ops.post("/v1/principals", json=wrong)).status_code == 400, wrong
        assert (await ops.delete("/v1/principals/nobody")).status_code == 404
