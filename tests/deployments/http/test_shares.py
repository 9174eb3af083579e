"""Categories that their owners share."""

from pathlib import Path

import httpx
import pytest

from tests.tenants import Tenants, upload

SECRET = "The vault code is 4711."


async def listed(http: httpx.AsyncClient, category: str, **query: str) -> httpx.Response:
    return await http.get("/uploadFile/learningFiles", params={"category": category, **query})


async def quoted(http: httpx.AsyncClient, category: str, **body: str) -> httpx.Response:
    messages = [{"role": "user", "content": "Which is the vault code?"}]
    return await http.post("/v1/chat/completions", json={"category": category, "messages": messages, **body})


async def test_reading_then_writing_then_nothing(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    async with tenants.add("alice") as alice, tenants.add("bob") as bob, tenants.add("carol") as carol:
        await upload(alice, "plans", SECRET)
        [document] = (await listed(alice, "plans")).json()["data"]
        gone = {"category": "plans", "id": document["id"], "owner": "alice"}
        shared = await alice.put("/v1/categories/plans/shares/bob", json={"access": "read"})
        assert shared.json() == {
            "object": "share", "owner": "alice", "category": "plans", "principal": "bob", "access": "read",
        }  # fmt: skip

        assert (await listed(bob, "plans", owner="alice")).json()["data"] == [document]
        assert (await quoted(bob, "plans", owner="alice")).json()["sources"][0]["passage"] == SECRET
        refused = await upload(bob, "plans", "Mine.", "mine.txt", owner="alice")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
        assert (await bob.delete("/uploadFile/learningFile", params=gone)).status_code == 403
        assert (await listed(bob, "plans")).json()["data"] == [], "his own of that name is another"
        assert (await quoted(bob, "plans")).json()["sources"] == []
        assert (await listed(bob, "others", owner="alice")).status_code == 404
        for call in (listed, quoted):
            assert (await call(carol, "plans", owner="alice")).status_code == 404

        await alice.put("/v1/categories/plans/shares/bob", json={"access": "write"})
        assert (await upload(bob, "plans", "His words.", "his.txt", owner="alice")).status_code == 200
        assert {each["name"] for each in (await listed(alice, "plans")).json()["data"]} == {"plan.txt", "his.txt"}
        assert (await bob.delete("/uploadFile/learningFile", params=gone)).status_code == 200

        ended = await alice.delete("/v1/categories/plans/shares/bob")
        assert (ended.status_code, ended.json()["deleted"]) == (200, True)
        assert (await listed(bob, "plans", owner="alice")).status_code == 404
        assert (await alice.delete("/v1/categories/plans/shares/bob")).status_code == 404


@pytest.mark.parametrize("category", ["a/b", "a/shares/b", "猫 😀", "../../x", "x' OR '1'='1", "%2F", "x" * 256])
async def test_any_name_can_be_shared(category: str, tmp_path: Path) -> None:
    from urllib.parse import quote

    tenants = Tenants(tmp_path)
    async with tenants.add("alice") as alice, tenants.add("bob") as bob:
        address = f"/v1/categories/{quote(category, safe='')}/shares/bob"
        assert (await alice.put(address, json={"access": "read"})).json()["category"] == category
        assert (await listed(bob, category, owner="alice")).status_code == 200
        assert (await alice.delete(address)).status_code == 200
        assert (await listed(bob, category, owner="alice")).status_code == 404


async def test_a_share_says_nothing_of_whom_there_is(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    async with tenants.add("alice") as alice, tenants.add("bob"):
        known, unknown = [
            await alice.put(f"/v1/categories/plans/shares/{name}", json={"access": "read"}) for name in ("bob", "nob")
        ]
        assert (known.status_code, unknown.status_code) == (200, 200)
        assert known.text == unknown.text.replace("nob", "bob")
        for body in ({}, {"access": "all"}, {"access": None}):
            assert (await alice.put("/v1/categories/plans/shares/bob", json=body)).status_code == 400


async def test_what_is_added_to_a_shared_category_counts_for_its_owner(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    async with tenants.add("alice", bytes_stored=100) as alice, tenants.add("bob") as bob:
        await alice.put("/v1/categories/plans/shares/bob", json={"access": "write"})
        assert (await upload(bob, "plans", "a" * 60, "a.txt", owner="alice")).status_code == 200
        assert (await upload(bob, "plans", "b" * 60, "b.txt", owner="alice")).status_code == 429
        assert (await upload(bob, "plans", "b" * 60, "b.txt")).status_code == 200
