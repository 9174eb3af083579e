"""`make pull` fetches what a configuration names, and says clearly what it could not: with the hub's own client."""

import fcntl
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from deployments.commands.hub import Hub
from deployments.commands.pull import Wanted, named_in, pull
from deployments.config import ConfigInvalid
from pipelines.contracts.errors import ModelUnavailable
from pipelines.loading.lock import LOCK_NAME, Lock, LockedModel, read_lock
from pipelines.loading.weights import Weights, locate
from tests.checkpoints.super_resolution import make_tiny_rrdbnet
from tests.hub import Break, FakeHub, git_sha1, serving_hub
from tests.serving import ROOT, free_port

NAME = "someone/model"
LARGE = random.Random(0).randbytes(25_000_000)  # the client keeps what has arrived in steps of 10 MiB
SMALL = b'{"hidden_size": 8}'
WITHIN_S = 240  # of a command, on a machine that does much else


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with serving_hub() as serving:
        yield serving


@pytest.fixture
def fetch(hub: FakeHub, tmp_path: Path) -> Callable[..., bool]:
    """Pull some models from the hub into a cache of this test."""

    def run(*asked: Weights, machine: str = "here", url: str = hub.url) -> bool:
        wanted = [Wanted(weights, "Chat", "MIT") for weights in asked or [Weights(NAME)]]
        return pull(wanted, tmp_path / LOCK_NAME, Hub(url, tmp_path / machine))

    return run


def found(cache: Path, revision: str = "main", name: str = NAME, patterns: list[str] | None = None) -> Path:
    """Where a library without a network finds a model, with every file that it asks for."""
    return Path(
        snapshot_download(name, revision=revision, cache_dir=cache, local_files_only=True, allow_patterns=patterns)
    )


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lock(tmp_path: Path, commit: str | None, **files: str) -> Path:
    """A lock of one model, with the checksums of its files."""
    path = tmp_path / LOCK_NAME
    path.write_text(Lock([LockedModel(model=NAME, commit=commit, files=files)]).text())
    return path


def configured(tmp_path: Path, **engines: dict[str, object]) -> Path:
    raw = yaml.safe_load((ROOT / "serve_config.local.yaml").read_text())
    for block in raw["applications"][0]["deployments"]:
        block["user_config"] = engines.get(block["name"], block.get("user_config"))
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def command(path: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "deployments.commands.pull", str(path)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **env},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_embedded_engines_need_nothing() -> None:
    assert named_in(ROOT / "serve_config.local.yaml") == []


def test_models_are_named_with_the_files_they_need(tmp_path: Path) -> None:
    path = configured(tmp_path, SuperResolution={"engine": "real-esrgan"})
    [wanted] = named_in(path)
    assert (wanted.deployment, wanted.license) == ("SuperResolution", "BSD-3-Clause")
    assert wanted.weights.files == ("RealESRGAN_x4plus.pth",)


def test_a_local_model_is_not_fetched(tmp_path: Path) -> None:
    assert named_in(configured(tmp_path, SuperResolution={"engine": "real-esrgan", "model": "./mine.pth"})) == []


def test_what_is_fetched_is_found_without_a_network(
    hub: FakeHub, fetch: Callable[..., bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.commit(NAME, {"sub/model.safetensors": LARGE, "config.json": SMALL, "pytorch_model.bin": b"x" * 5000})
    patterns = ["*.safetensors", "*.json"]
    assert fetch(Weights(NAME, files=tuple(patterns)))
    folder = found(tmp_path / "here", patterns=patterns)
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"model.safetensors", "config.json"}
    assert (folder / "sub/model.safetensors").read_bytes() == LARGE
    assert (folder / "config.json").read_bytes() == SMALL
    assert not list((tmp_path / "here").rglob("*.incomplete"))
    [row] = [line for line in capsys.readouterr().out.splitlines() if line.endswith("here") and "MIT" in line]
    assert row.split() == ["Chat", NAME, folder.name[:12], "25.0", "MB", "MIT", "here"]


def test_cached_files_are_not_requested_again(hub: FakeHub, fetch: Callable[..., bool]) -> None:
    hub.commit(NAME, {"model.safetensors": LARGE, "config.json": SMALL})
    assert fetch()
    hub.requests.clear()
    assert fetch()
    assert hub.requests
    assert not hub.asked_for_contents()


def test_an_interrupted_transfer_resumes(hub: FakeHub, fetch: Callable[..., bool], tmp_path: Path) -> None:
    hub.commit(NAME, {"model.safetensors": LARGE})
    hub.breaks.append(Break(after_bytes=24_000_000))
    assert fetch()
    assert hub.transfers() == ["", f"bytes={20 << 20}-"]
    assert (found(tmp_path / "here") / "model.safetensors").read_bytes() == LARGE


def test_a_branch_that_moves_moves_nothing(hub: FakeHub, fetch: Callable[..., bool], tmp_path: Path) -> None:
    old = hub.commit(NAME, {"config.json": b"old"})
    assert fetch()
    new = hub.commit(NAME, {"config.json": b"new"})
    assert fetch(machine="elsewhere")
    for machine in ("here", "elsewhere"):
        assert found(tmp_path / machine).name == old
        assert (found(tmp_path / machine) / "config.json").read_bytes() == b"old"
    path = tmp_path / LOCK_NAME
    assert yaml.safe_load(path.read_text()) == [
        {"model": NAME, "commit": old, "files": {"config.json": sha256(b"old")}}
    ]
    path.write_text(path.read_text().replace(old, "null"))
    assert fetch()
    assert found(tmp_path / "here").name == new
    assert found(tmp_path / "here", old).name == old
    assert [entry.files for entry in read_lock(path).root] == [{"config.json": sha256(b"new")}]


def test_a_commit_of_the_configuration_is_what_is_fetched(
    hub: FakeHub, fetch: Callable[..., bool], tmp_path: Path
) -> None:
    old = hub.commit(NAME, {"config.json": b"old"})
    hub.commit(NAME, {"config.json": b"new"})
    assert fetch(Weights(NAME, old))
    assert (found(tmp_path / "here", old) / "config.json").read_bytes() == b"old"
    [entry] = read_lock(tmp_path / LOCK_NAME).root
    assert (entry.revision, entry.commit) == (old, old)


def test_what_is_here_is_verified_without_the_hub(
    hub: FakeHub,
    fetch: Callable[..., bool],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the client's attempts
    hub.commit(NAME, {"model.safetensors": LARGE, "config.json": SMALL, "other.bin": b"x" * 5000})
    weights = Weights(NAME, files=("*.safetensors", "*.json"))
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert not fetch(weights, url=nowhere)
    assert fetch(weights)
    assert read_lock(tmp_path / LOCK_NAME).root[0].files == {
        "config.json": sha256(SMALL),
        "model.safetensors": sha256(LARGE),
    }
    assert fetch(weights, url=nowhere)
    assert not fetch(Weights(NAME, files=("*.bin",)), url=nowhere)
    (found(tmp_path / "here", patterns=["*.json"]) / "config.json").write_bytes(SMALL[:-1] + b" ")
    capsys.readouterr()
    assert not fetch(weights, url=nowhere)
    assert "the hub could not be reached" in capsys.readouterr().err
    assert fetch(weights)


@pytest.mark.parametrize("content", [LARGE, SMALL], ids=["large", "small"])
def test_a_file_that_is_not_the_locked_one_is_refused(
    hub: FakeHub, fetch: Callable[..., bool], tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    commit = hub.commit(NAME, {"file": content})
    lock(tmp_path, commit, file="0" * 64)
    assert not fetch()
    assert LOCK_NAME in capsys.readouterr().err
    assert not list((tmp_path / "here").rglob("snapshots/*/file"))
    lock(tmp_path, commit, file=sha256(content))
    assert fetch()


def test_a_model_that_the_lock_lacks_is_added_even_without_the_hub(fetch: Callable[..., bool], tmp_path: Path) -> None:
    assert not fetch(url=f"http://127.0.0.1:{free_port()}")
    assert yaml.safe_load((tmp_path / LOCK_NAME).read_text()) == [{"model": NAME, "commit": None, "files": {}}]


def test_the_engines_load_the_locked_commit(
    hub: FakeHub, fetch: Callable[..., bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (hub.commit(NAME, {"config.json": content}) for content in (b"old", b"new"))
    assert fetch(Weights(NAME, old), Weights(NAME))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "here"))
    assert locate(Weights(NAME)).name == new
    monkeypatch.setattr("pipelines.loading.lock._path", lock(tmp_path, old))
    assert locate(Weights(NAME)).name == old
    lock(tmp_path, None)
    assert locate(Weights(NAME)).name == new
    lock(tmp_path, "0" * 40)
    with pytest.raises(ModelUnavailable, match="make pull"):
        locate(Weights(NAME))
    (tmp_path / LOCK_NAME).write_text("damaged")
    with pytest.raises(ModelUnavailable, match=LOCK_NAME):
        locate(Weights(NAME))


def test_the_committed_lock_names_every_model_of_the_configurations() -> None:
    kept = read_lock(ROOT / LOCK_NAME)
    named = {wanted.weights for path in ROOT.glob("serve_config*.yaml") for wanted in named_in(path)}
    missing = {weights.model for weights in named if kept.find(weights.model, weights.revision) is None}
    assert not missing, "`make pull CONFIG=…` adds them"
    assert (ROOT / LOCK_NAME).read_text() == kept.text()


@pytest.mark.parametrize("content", [LARGE, SMALL], ids=["large", "small"])
def test_a_corrupt_file_is_deleted_and_reported(
    hub: FakeHub, fetch: Callable[..., bool], tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    commit = hub.commit(NAME, {"file": content})
    hub.corrupt(content)
    assert not fetch()
    assert "file arrived with another checksum" in capsys.readouterr().err
    assert not [path for path in (tmp_path / "here").rglob("blobs/*") if path.is_file()]
    with pytest.raises(LocalEntryNotFoundError):
        found(tmp_path / "here", commit)
    hub.changed.clear()
    assert fetch()
    assert (found(tmp_path / "here") / "file").read_bytes() == content


def test_damaged_files_are_fetched_again(hub: FakeHub, fetch: Callable[..., bool], tmp_path: Path) -> None:
    files = {"model.safetensors": LARGE, "config.json": SMALL, "intact.json": b"[]"}
    hub.commit(NAME, files)
    assert fetch()
    folder = found(tmp_path / "here")
    (folder / "model.safetensors").write_bytes(LARGE[:-1] + b"?")
    (folder / "config.json").write_bytes(SMALL[:-1])
    hub.requests.clear()
    assert fetch()
    assert {name: (folder / name).read_bytes() for name in files} == files
    assert not [path for _, path, _ in hub.requests if path.endswith("intact.json")]


def test_a_file_too_large_for_the_disk_is_not_begun(
    hub: FakeHub, fetch: Callable[..., bool], capsys: pytest.CaptureFixture[str]
) -> None:
    hub.commit(NAME, {"model.safetensors": LARGE})
    hub.repositories[NAME].claims_bytes = 10**17
    assert not fetch()
    assert "make room" in capsys.readouterr().err
    assert not hub.asked_for_contents()


def test_two_pulls_do_not_write_into_one_file(
    hub: FakeHub, fetch: Callable[..., bool], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.commit(NAME, {"model.safetensors": LARGE})
    hub.repositories[NAME].refuses = (503, "")
    assert not fetch()
    [partial] = (tmp_path / "here").rglob("*.incomplete")
    hub.repositories[NAME].refuses = None
    with partial.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not fetch()
    assert "another `make pull`" in capsys.readouterr().err
    assert fetch()


@pytest.mark.parametrize(
    "refusal",
    [
        (403, "GatedRepo", "license has to be accepted"),
        (401, "RepoNotFound", "HF_TOKEN is not set"),
        (403, "", "ask for access"),
        (500, "", "the hub answered 500"),
    ],
)
def test_a_refusal_is_explained(
    hub: FakeHub,
    fetch: Callable[..., bool],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    refusal: tuple[int, str, str],
) -> None:
    hub.commit(NAME, {"model.safetensors": LARGE})
    hub.commit("someone/other", {"config.json": SMALL})
    *answer, explanation = refusal
    hub.repositories[NAME].refuses = tuple(answer)
    assert not fetch(Weights(NAME), Weights("someone/other"))
    assert explanation in capsys.readouterr().err
    assert (found(tmp_path / "here", name="someone/other") / "config.json").read_bytes() == SMALL


@pytest.mark.parametrize(
    ("asked", "explanation"),
    [
        (Weights("someone/nothing"), "the hub has no such model"),
        (Weights(NAME, "v9"), "the hub has no revision v9"),
        (Weights(NAME, "0" * 40), f"the hub has no revision {'0' * 40}"),
        (Weights(NAME, files=("*.safetensors",)), "none of the files that its engine reads (*.safetensors)"),
        (Weights("not an id"), "no hub id"),
    ],
)
def test_what_the_hub_lacks_is_reported(
    hub: FakeHub, fetch: Callable[..., bool], capsys: pytest.CaptureFixture[str], asked: Weights, explanation: str
) -> None:
    hub.commit(NAME, {"config.json": SMALL})
    assert not fetch(asked)
    assert explanation in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["- a", "a: [", f"{NAME}: main", f"- {{model: {NAME}, commit: abc, files: {{}}}}", f"- {{model: {NAME}}}"],
)
def test_a_damaged_lock_is_refused(fetch: Callable[..., bool], tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK_NAME).write_text(text)
    with pytest.raises(ConfigInvalid, match="is damaged"):
        fetch()


def test_the_hub_of_these_tests_names_files_as_git_does() -> None:
    assert git_sha1(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_an_unreachable_hub_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = Hub(f"http://127.0.0.1:{free_port()}", tmp_path / "here")
    assert not pull([Wanted(Weights(NAME), "Chat", "MIT")], tmp_path / LOCK_NAME, nowhere)
    assert f"Chat: {NAME}: the hub could not be reached" in capsys.readouterr().err


def test_a_host_that_is_no_hub_is_recognized(hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.speaks_html = True
    assert not pull([Wanted(Weights(NAME), "Chat", "MIT")], tmp_path / LOCK_NAME, Hub(hub.url, tmp_path / "here"))
    assert "is HF_ENDPOINT right?" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a: [", "applications: []"])
def test_a_file_that_cannot_be_served_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigInvalid):
        named_in(path)


UPSCALE = """
import numpy as np
from pipelines.contracts.engine import Resources
from pipelines.super_resolution.real_esrgan.engine import RealEsrganConfig
tile = np.full((8, 8, 3), 0.5, np.float32)
print(RealEsrganConfig().load(Resources()).upscale(tile).shape)
"""


def test_stopped_resumed_and_loaded_without_a_network(hub: FakeHub, tmp_path: Path) -> None:
    """Ctrl-C in the middle of the checkpoint, the same command again, then an engine that is offline.

    The command starts as in a shell's background: with SIGINT ignored.
    """
    make_tiny_rrdbnet(tmp_path / "published", features=64, blocks=6, growth=32)
    hub.commit_folder("nateraw/real-esrgan", tmp_path / "published")
    path = configured(tmp_path, SuperResolution={"engine": "real-esrgan"})
    env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hub"), "HOME": str(tmp_path)}
    hub.breaks.append(Break(after_bytes=12_000_000, hang=True))
    background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    first = subprocess.Popen(
        [*background, sys.executable, "-m", "deployments.commands.pull", str(path)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert hub.hanging.wait(WITHIN_S)
    while not any(path.stat().st_size for path in (tmp_path / "hub").rglob("*.incomplete")):
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    _, printed = first.communicate(timeout=WITHIN_S)
    assert first.returncode == 130
    assert "run this again" in printed
    assert "Traceback" not in printed
    done = command(path, **env)
    assert done.returncode == 0, done.stderr
    assert hub.transfers() == ["", f"bytes={10 << 20}-"]
    offline = {**os.environ, **env, "HF_HUB_OFFLINE": "1"}
    loaded = subprocess.run(
        [sys.executable, "-c", UPSCALE], cwd=ROOT, env=offline, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "(32, 32, 3)"
