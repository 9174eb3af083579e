"""What `make run` installs is enough for the local configuration."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.serving import MODELS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOADING = """
import sys
from pathlib import Path
import numpy as np
from deployments import config
from deployments.catalog import CATALOG
from pipelines.contracts.engine import Resources

resources = Resources(embed=lambda texts: np.ones((len(texts), 384), np.float32), data_dir=Path(sys.argv[1]))
blocks = {block.name: block for block in config.read(Path("serve_config.local.yaml")).applications[0].deployments}
for entry in CATALOG.values():
    engine = entry.parse(blocks[entry.deployment].user_config).load(resources)
    print("loaded", entry.name)
    getattr(engine, "close", lambda: None)()
"""


def alone() -> set[str]:
    """What the Makefile installs without its dependencies."""
    found = re.search(r"^ALONE := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert found
    return {canonicalize_name(name) for name in found[1].split()}


def with_what_they_need(requirements: list[str]) -> set[str]:
    """Names of all distributions that pip installs for these."""
    found: set[tuple[str, str]] = set()
    waiting = [(Requirement(each), "") for each in requirements]
    while waiting:
        wanted, _ = waiting.pop()
        if wanted.name == "sensorium":
            waiting += [(Requirement(each), "") for extra in wanted.extras for each in EXTRAS[extra]]
            continue
        for extra in {"", *wanted.extras}:
            name = canonicalize_name(wanted.name)
            if (name, extra) in found:
                continue
            found.add((name, extra))
            for line in metadata.requires(name) or []:
                further = Requirement(line)
                if further.marker is None or further.marker.evaluate({"extra": extra}):
                    waiting.append((further, extra))
    return {name for name, _ in found}


def link(names: set[str], folder: Path) -> None:
    """Lay out a folder as if only these distributions were installed in it."""
    for name in names:
        for file in metadata.files(name) or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(metadata.distribution(name).locate_file(top))))


@pytest.mark.timeout(600)
def test_the_local_configuration_loads_with_what_is_installed_for_it(tmp_path: Path) -> None:
    installed = with_what_they_need([*PROJECT["dependencies"], "sensorium[local]"]) | alone()
    assert not installed & {"diffusers", "phonemizer", "psycopg", "pytest"}, "the local one has no need of these"
    link(installed, tmp_path)
    done = subprocess.run(
        [sys.executable, "-S", "-W", "ignore", "-c", LOADING, MODELS.parent],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.count("loaded") == 10
