"""How bodies are read: deep JSON, and routes without a body; deadlines are in `test_bystander`."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deployments.http.bodies import MAX_DEPTH, check_depth
from pipelines.contracts.errors import InvalidInput
from tests.asgi import app, client
from tests.deployments.http.test_families import operations


def nested(depth: int, bracket: str = "[]") -> str:
    return bracket[0] * depth + bracket[1] * depth


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH),
        json.dumps({"text": "[" * 1000, "more": ["\\\\", '"[[[', "\\[" * 100]}),
        "[" + ",".join(["[1]"] * 10_000) + "]",
        json.dumps([{"a": [{"b": [index]}]} for index in range(5000)]),
        '"' + "[" * 1000,  # no JSON, which the route says
        '"' + '\\"[' * 1_000_000,
        "[]" * 1_000_000,
    ],
)
def test_what_is_not_deep_passes_quickly(body: str) -> None:
    began_s = time.monotonic()
    check_depth(body.encode())
    assert time.monotonic() - began_s < 2


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH + 1),
        '{"a":' * 65 + "1" + "}" * 65,
        "[" * 2_000_000,
        json.dumps({"x": ["]" * 100, json.loads(nested(64))]}),
    ],
)
def test_what_is_deep_is_refused(body: str) -> None:
    with pytest.raises(InvalidInput, match="64"):
        check_depth(body.encode())


async def test_no_route_takes_deep_json(tmp_path: Path) -> None:
    application, _ = app(tmp_path)
    tried = 0
    async with client(application) as http:
        for path, operation in operations(application):
            if "application/json" not in operation.get("requestBody", {}).get("content", {}):
                continue
            for depth in (65, 600, 100_000):
                body = f'{{"model": "x", "messages": [], "input": "x", "x": {nested(depth)}}}'
                answer = await http.post(path, content=body, headers={"Content-Type": "application/json"})
                assert answer.status_code == 400, (path, depth)
                assert "nesting" in answer.text, (path, depth)
            tried += 1
    assert tried >= 4


async def test_a_route_without_a_body_does_not_wait_for_one(tmp_path: Path) -> None:
    application, _ = app(tmp_path)

    async def never_ends() -> AsyncIterator[bytes]:
        yield b"{"
        raise AssertionError("it was read")

    async with client(application) as http:
        for method, path in (
            ("GET", "/v1/models"),
            ("GET", "/healthz"),
            ("POST", "/healthz"),
            ("DELETE", "/v1/jobs/x"),
        ):
            answer = await http.request(method, path, content=never_ends())
            assert answer.status_code in (200, 404, 405), path
