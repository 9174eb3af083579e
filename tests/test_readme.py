"""The README's calls give the replies that stand under them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image

from tests.media import mp4
from tests.serving import ROOT, RunningGraph

CHANGING = {"id", "created", "url", "samUrl", "enhanceImageUrl", "svdVideoUrl", "data", "tracks", "created_at"}


def calls() -> list[tuple[str, str]]:
    """Each command of the README's console blocks, and the reply under it."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    found = []
    for block in blocks:
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, reply = part.partition("\n")
            found.append((command, reply.strip()))
    return found


def shape(value: Any) -> Any:
    """A reply with what differs from call to call taken out."""
    if isinstance(value, dict):
        return {k: "…" if k in CHANGING and isinstance(v, str | int | float) else shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return round(value, 2) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readme")
    Image.fromarray(skimage.data.astronaut()).save(path / "photo.jpg", quality=92)
    (path / "street.mp4").write_bytes(mp4())
    return path


def test_there_is_a_call_for_each_of_the_ten_routes() -> None:
    text = " ".join(command for command, _ in calls())
    for route in (
        "/v1/chat/completions",
        "/v1/asr",
        "/v1/tts",
        "/v1/images/generations",
        "/uploadFile/uploadLearningFile",
        "/image/imageToText",
        "/image/enhanceImage",
        "/image/generateVideo",
        "/video/motInference",
        "/video/mmeditingInference",
    ):
        assert route in text


def test_every_call_gives_its_reply(graph: RunningGraph, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    for command, reply in calls():
        done = subprocess.run(
            ["bash", "-c", command.replace("http://127.0.0.1:8000", graph.url)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
        if reply:
            assert shape(json.loads(done.stdout)) == shape(json.loads(reply)), command
    assert (folder / "hello.mp3").stat().st_size > 1000


def test_the_tree_is_what_is_there() -> None:
    tree = re.findall(r"^(|  )([a-z][\w.]+/?(?:  [\w]+/)?) {3,}", (ROOT / "README.md").read_text(), re.M)
    assert len(tree) >= 12
    folder = ROOT
    for indent, names in tree:
        for name in names.split():
            assert ((folder if indent else ROOT) / name).exists(), name
        if not indent:
            folder = ROOT / names


def test_every_setting_that_is_named_exists() -> None:
    from deployments.settings import Settings

    for name in re.findall(r"SENSORIUM_(\w+)", (ROOT / "README.md").read_text()):
        assert name.lower() in Settings.model_fields
