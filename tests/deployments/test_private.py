"""Nobody else on the machine reads what the installation keeps, or gets Ray's token."""

import os
import re
from pathlib import Path

import httpx

from deployments.private import keep_private, ray_token
from tests.media import png
from tests.serving import RunningGraph


def open_to_others(folder: Path) -> list[str]:
    """What under a folder has a bit for the group or others, links aside: they have no mode of their own."""
    everything = [folder, *folder.rglob("*")]
    return [str(path) for path in everything if not path.is_symlink() and path.lstat().st_mode & 0o077]


def test_what_the_graph_keeps(graph: RunningGraph, client: httpx.Client) -> None:
    document = {"fileToUpload": ("code.txt", b"The code of the vault is 4711.")}
    client.post("/uploadFile/uploadLearningFile", params={"category": "vault"}, files=document).raise_for_status()
    client.post("/image/imageToText", files={"file": png()}).raise_for_status()
    job = client.post("/image/enhanceImage", files={"file": png(40, 30)}, headers={"Prefer": "respond-async"})
    assert job.status_code == 202
    kept = {path.name for path in graph.data.iterdir()}
    assert {"store", "knowledge", "jobs.sqlite"} <= kept
    assert open_to_others(graph.data) == []


def test_rays_own_files(graph: RunningGraph) -> None:
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in graph.pids()]
    tokens = {
        found[1].decode() for each in environments if (found := re.search(rb"RAY_AUTH_TOKEN_PATH=([^\0]+)", each))
    }
    assert tokens == {str(graph.data / "ray-token")}
    assert Path(tokens.pop()).stat().st_mode & 0o777 == 0o600
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in graph.pids()]
    sessions = {found[1].decode() for each in commands if (found := re.search(rb"(/[^\0=]*/session_[-\w]+)", each))}
    assert sessions
    for session in sessions:
        above = [Path(session), *Path(session).parents]
        assert any(folder.stat().st_mode & 0o777 == 0o700 for folder in above), session
    token = (graph.data / "ray-token").read_bytes()
    assert not [each for each in (*environments, *commands) if token in each]


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        keep_private(folder)
        (folder / "x").touch()
        token = ray_token(folder)
        text = token.read_text()
        token.chmod(0o644)
        assert ray_token(folder).read_text() == text
    finally:
        os.umask(before)
    assert len(text) == 64
    assert open_to_others(folder) == []
