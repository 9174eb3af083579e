"""Limits of principals and what they use, at the ASGI application."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deployments.capabilities.protocol import ResultEvent
from deployments.principals.principal import CAPABILITIES, EVERY_SCOPE, Limits
from tests.asgi import EventReader
from tests.media import mp4, png
from tests.tenants import INFO, Method, Stream, Tenants, upload


async def test_requests_a_minute(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    async with tenants.add("alice", requests_per_minute=3) as alice, tenants.add("bob") as bob:
        left = []
        for _ in range(3):
            answer = await alice.get("/v1/jobs")
            assert answer.status_code == 200
            assert answer.headers["x-ratelimit-limit-requests"] == "3"
            left.append(answer.headers["x-ratelimit-remaining-requests"])
        assert left == ["2", "1", "0"]
        refused = await alice.get("/v1/tts", params={"text": "Hi."})
        assert (refused.status_code, refused.json()["status"]) == (429, 40000005)
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert 40 < float(refused.headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 60
        assert (await alice.get("/v1/jobs")).json()["error"]["code"] == "rate_limit_exceeded"
        untouched = await bob.get("/v1/jobs")
        assert untouched.status_code == 200
        assert "x-ratelimit-limit-requests" not in untouched.headers
        tenants.services.limiter._buckets["alice"].filled_s -= 20  # a third of a minute later
        assert (await alice.get("/v1/jobs")).status_code == 200
        assert (await alice.get("/v1/jobs")).status_code == 429


async def test_calls_at_once(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    going_on, gone = asyncio.Event(), asyncio.Event()

    async def speak(*_: Any) -> Any:
        yield INFO
        going_on.set()
        await gone.wait()
        yield b"mp3"

    tenants.services.caller.handles.speech_synthesis.speak = Method(lambda *_: Stopping(speak()))
    async with tenants.add("alice", concurrent=1) as alice, tenants.add("bob", concurrent=1) as bob:
        speaking = asyncio.create_task(alice.get("/v1/tts", params={"text": "Hi."}))
        await going_on.wait()
        refused = await alice.post("/image/enhanceImage", files={"file": png(8, 8)})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert refused.headers["retry-after"] == "1"
        assert (await bob.get("/v1/jobs")).status_code == 200
        gone.set()
        assert (await speaking).content == b"mp3"
        assert (await alice.get("/v1/jobs")).status_code == 200


class Stopping:
    """A generator as a handle's stream."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        return await anext(self._events)

    def cancel(self) -> None:
        """It ends by itself."""


async def test_queued_jobs(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    asked = {"headers": {"Prefer": "respond-async"}, "files": {"file": png(8, 8)}}
    async with tenants.add("alice", queued_jobs=1) as alice, tenants.add("bob", queued_jobs=1) as bob:
        assert (await alice.post("/image/enhanceImage", **asked)).status_code == 202
        refused = await alice.post("/image/enhanceImage", **asked)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_jobs")
        assert int(refused.headers["retry-after"]) > 0
        assert (await bob.post("/image/enhanceImage", **asked)).status_code == 202
    assert len(list((tmp_path / "store" / "uploads").iterdir())) == 2


async def test_bytes_stored(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    async with tenants.add("alice", bytes_stored=100) as alice, tenants.add("bob", bytes_stored=100) as bob:
        assert (await upload(alice, "plans", "a" * 60)).status_code == 200
        refused = await upload(alice, "other", "b" * 60, "other.txt")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
        assert (await alice.get("/uploadFile/learningFiles", params={"category": "other"})).json()["data"] == []
        assert (await upload(bob, "plans", "c" * 60)).status_code == 200
        [document] = (await alice.get("/uploadFile/learningFiles", params={"category": "plans"})).json()["data"]
        gone = {"category": "plans", "id": document["id"]}
        assert (await alice.delete("/uploadFile/learningFile", params=gone)).status_code == 200
        assert (await upload(alice, "other", "b" * 60, "other.txt")).status_code == 200
    assert not list((tmp_path / "store" / "uploads").iterdir())


async def test_usage_is_counted_by_principal_and_day(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    handles, today = tenants.services.caller.handles, f"{datetime.now(UTC):%F}"
    handles.image_generation.generate = Method(lambda *_: Stream(INFO, ResultEvent({"images": ["sam/a", "sam/b"]})))
    heard = SimpleNamespace(segments=(), duration_s=2.5, language="en")
    handles.speech_recognition.transcribe = Method(lambda *_: Stream(INFO, ResultEvent(heard)))
    moved = {"video": "static/video/a.mp4", "tracks": "static/video/a.txt", "counts": {}, "frames": 30}
    handles.object_tracking.track = Method(lambda *_: Stream(INFO, ResultEvent(moved)))
    async with (
        tenants.add("alice") as alice,
        tenants.add("bob") as bob,
        tenants.add("ops", EVERY_SCOPE) as ops,
    ):
        chat = {"messages": [{"role": "user", "content": "Hi."}]}
        for stream in (False, True):
            assert (await alice.post("/v1/chat/completions", json={**chat, "stream": stream})).status_code == 200
        assert (await alice.post("/v1/embeddings", json={"input": ["a", "b"]})).status_code == 200
        assert (await alice.post("/v1/images/generations", json={"prompt": "a pig", "n": 2})).status_code == 200
        assert (await alice.post("/v1/asr", content=b"\0" * 1000, params={"format": "pcm"})).status_code == 200
        assert (await alice.post("/video/motInference", files={"file": mp4()})).status_code == 200
        assert (await bob.get("/v1/jobs")).status_code == 200
        [used] = (await alice.get("/v1/usage")).json()["data"]
        assert used.pop("bytes") > 1000
        assert used == {
            "principal": "alice", "date": today, "calls": 6, "tokens": 12, "audio_s": 2.5, "images": 2, "frames": 30,
        }  # fmt: skip
        assert [each["principal"] for each in (await bob.get("/v1/usage")).json()["data"]] == ["bob"]
        everybody = (await ops.get("/v1/usage")).json()
        assert everybody["object"] == "list"
        assert [each["principal"] for each in everybody["data"]] == ["alice", "bob"]
        tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%F}"
        assert (await alice.get("/v1/usage", params={"from": tomorrow})).json()["data"] == []
        assert (await alice.get("/v1/usage", params={"from": "soon"})).status_code == 400
        assert len((await alice.get("/v1/usage", params={"from": today, "to": today})).json()["data"]) == 1
    assert {each.calls for each in tenants.services.usage.read(datetime(2000, 1, 1), datetime.now(UTC), "alice")} == {9}


async def test_an_open_stream_of_events_is_a_call(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path)
    _, key = tenants.services.principals.add("alice", CAPABILITIES, Limits(concurrent=1))
    tenants.services.registry.read()
    job, _ = tenants.services.jobs.submit(
        "enhance", "[]", input=None, fingerprint="", idempotency_key=None, max_queued=9, principal="alice"
    )
    async with tenants.client(key) as alice:
        reader = EventReader(tenants.application, job.id, key)
        await asyncio.wait_for(reader.began.wait(), 20)
        assert (await alice.get("/v1/jobs")).status_code == 429
        await reader.leave()
        assert (await alice.get("/v1/jobs")).status_code == 200
