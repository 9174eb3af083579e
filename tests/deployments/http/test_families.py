"""Families of routes: every route belongs to one, and is what its family says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.http.families import DOCUMENTS, FAMILIES, OPENAI, OTHER, RECOGNITION, SIGNED, TRANSCRIPTIONS, family_of
from deployments.storage import Bucket
from tests.asgi import app, client


def operations(application: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """A path of each documented operation, and its documentation."""
    for template, methods in application.openapi()["paths"].items():
        for operation in methods.values():
            yield re.sub(r"\{\w+\}", "x", template.replace("{bucket}", Bucket.SEGMENTED)), operation


def test_every_route_belongs_to_a_family(tmp_path: Path) -> None:
    application, _ = app(tmp_path)
    paths = [path for path, _ in operations(application)]
    assert len(paths) > 20
    for path in [*paths, "/", "/console/main.js"]:
        assert family_of(path) in FAMILIES, path


def test_routes_document_the_errors_and_bodies_of_their_families(tmp_path: Path) -> None:
    application, _ = app(tmp_path)
    for path, operation in operations(application):
        family = family_of(path)
        documented = operation["responses"]["400"]["content"]["application/json"]["schema"]["$ref"]
        assert documented.endswith(f"/{family.error.__name__}"), path
        assert ("401" in operation["responses"]) is not family.public, path
        content = operation.get("requestBody", {}).get("content", {})
        if set(content) & {"multipart/form-data", "application/octet-stream"}:
            assert family.streamed, path
        if "application/json" in content:
            assert not family.streamed, path


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/v1/asr", RECOGNITION),
        ("/v1/asr/nothing", RECOGNITION),
        ("/v1/asrx", OPENAI),
        ("/v1/audio/speech", OPENAI),
        ("/v1/audio/transcriptions", TRANSCRIPTIONS),
        ("/uploadFile/learningFiles", DOCUMENTS),
        ("/sam/x.png", SIGNED),
        ("/realesrgan/x.png", SIGNED),
        ("/sammy/x.png", OTHER),
        ("/docs", OTHER),
        ("//", OTHER),
        ("/nothing", OTHER),
        ("", OTHER),
    ],
)
def test_a_path_belongs_to_the_family_of_its_prefix(path: str, family: object) -> None:
    assert family_of(path) is family


@pytest.mark.parametrize(("path", "status"), [("/bucket/x.png", 404), ("/sam/x.png", 403), ("/image/imageToText", 405)])
async def test_an_unknown_bucket_is_no_route(tmp_path: Path, path: str, status: int) -> None:
    application, _ = app(tmp_path)
    async with client(application) as http:
        assert (await http.get(path)).status_code == status
