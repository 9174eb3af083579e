"""`make pull` fetches what a configuration names, and says clearly what it could not."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployments.pull import named_in
from tests.serving import ROOT, free_port


def configured(tmp_path: Path, **engines: dict[str, object]) -> Path:
    raw = yaml.safe_load((ROOT / "serve_config.local.yaml").read_text())
    for block in raw["applications"][0]["deployments"]:
        block["user_config"] = engines.get(block["name"], block.get("user_config"))
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def pull(path: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deployments.pull", str(path)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_embedded_engines_need_nothing() -> None:
    assert named_in(ROOT / "serve_config.local.yaml") == {}
    done = pull(ROOT / "serve_config.local.yaml")
    assert done.returncode == 0
    assert "names no model on a hub" in done.stdout


def test_models_are_named_with_the_files_they_need(tmp_path: Path) -> None:
    path = configured(tmp_path, SuperResolution={"engine": "real-esrgan"})
    [(deployment, [weights])] = named_in(path).items()
    assert deployment == "SuperResolution"
    assert weights.files == ("RealESRGAN_x4plus.pth",)


def test_a_local_model_is_not_fetched(tmp_path: Path) -> None:
    assert named_in(configured(tmp_path, SuperResolution={"engine": "real-esrgan", "model": "./mine.pth"})) == {}


def test_an_unreachable_hub_is_said_and_not_hidden(tmp_path: Path) -> None:
    path = configured(tmp_path, SuperResolution={"engine": "real-esrgan"})
    endpoint = f"http://127.0.0.1:{free_port()}"
    done = pull(path, HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path / "hub"), HOME=str(tmp_path))
    assert done.returncode == 1
    assert "SuperResolution" in done.stderr
    assert "run this again" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["a: [", "applications: []"])
def test_a_file_that_cannot_be_served_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    assert pull(path).returncode == 2
