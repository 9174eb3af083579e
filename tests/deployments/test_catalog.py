"""The catalog is the one list of capabilities: what follows from it, and how few other places name one of them."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from deployments import config
from deployments.capabilities.base import Capability
from deployments.catalog import BY_DEPLOYMENT, CATALOG, CatalogEntry
from deployments.graph import build
from deployments.settings import Settings
from tests.serving import ROOT

BLOCKS = {path.name for path in ROOT.glob("serve_config*.yaml")}
EVERY = {"deployments/catalog.py", "cluster/rayservice.yaml", *BLOCKS}
"""Where each capability is named, beside its own rooms; the manifest is made of `serve_config.yaml`."""
INTERFACE = ("deployments/http/", "deployments/jobs/operations.py", "deployments/capabilities/protocol.py")
"""Its routes, its tab of the console, and the types that its calls bring."""
OTHERS = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "THIRD_PARTY.md", "pyproject.toml", "openmmlab/build.sh"}
OWN = {"knowledge": {"deployments/settings.py", "deployments/principals/principal.py"}}
"""The setting that says where its index is, and the owner of documents that came before there were owners."""


@pytest.fixture(params=CATALOG.values(), ids=lambda entry: entry.name)
def entry(request: pytest.FixtureRequest) -> CatalogEntry:
    found: CatalogEntry = request.param
    return found


def files_naming(entry: CatalogEntry) -> set[str]:
    """Every file of the product outside the capability's own rooms that names it."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    rooms = (f"pipelines/{entry.name}/", f"deployments/capabilities/{entry.name}.py", "tests/", "cluster/vllm.yaml")
    word = rf"\b({entry.name}|{entry.deployment})\b"
    if "_" not in entry.name:  # a word of everyday language: only where it stands as a name
        word = rf"[\"'.\[]{entry.name}\b|[\"']{entry.deployment}[\"']|name: {entry.deployment}\b"
    found = (file for file in listed if not file.startswith(rooms) and (ROOT / file).is_file())
    return {file for file in found if re.search(word, (ROOT / file).read_text(errors="replace"))}


def rooms_of_those_that_need(entry: CatalogEntry) -> tuple[str, ...]:
    needing = [other.name for other in CATALOG.values() if entry.name in other.needs]
    return tuple(room for name in needing for room in (f"deployments/capabilities/{name}.py", f"pipelines/{name}/"))


def test_a_capability_is_its_rooms_its_routes_a_line_and_a_block_per_file(entry: CatalogEntry) -> None:
    places = files_naming(entry)
    assert places >= EVERY
    elsewhere = places - EVERY - OTHERS - OWN.get(entry.name, set())
    assert {
        place for place in elsewhere if not place.startswith((*INTERFACE, *rooms_of_those_that_need(entry)))
    } == set()
    assert (ROOT / "deployments/catalog.py").read_text().count(f'CatalogEntry("{entry.name}"') == 1
    for name in BLOCKS:
        assert len(re.findall(rf"- name: {entry.deployment}$", (ROOT / name).read_text(), re.M)) == 1


def engines(entry: CatalogEntry) -> Iterator[tuple[str, type]]:
    """Each engine's name in the YAML and its configuration."""
    union = next(iter(get_args(entry.config)), entry.config)
    for kind in get_args(union) or (union,):
        yield kind.model_fields["engine"].default, kind


def test_an_engine_is_its_file_or_folder_a_line_in_its_union_and_a_word_in_the_readme(entry: CatalogEntry) -> None:
    for name, kind in engines(entry):
        room = f"pipelines.{entry.name}.{name.replace('-', '_')}"
        assert kind.__module__ == room or kind.__module__.startswith(f"{room}."), kind
        assert name in (ROOT / "README.md").read_text()
        for file in (ROOT / "deployments").rglob("*.py"):
            assert kind.__name__ not in file.read_text(), f"{file} names {kind.__name__}"


def test_its_class_stands_in_the_module_of_its_name(entry: CatalogEntry) -> None:
    kind = entry.deployment_class()
    assert issubclass(kind, Capability)
    assert (kind.__name__, kind.__module__) == (entry.deployment, f"deployments.capabilities.{entry.name}")


def test_what_it_needs_is_listed_before_it(entry: CatalogEntry) -> None:
    before = list(CATALOG)[: list(CATALOG).index(entry.name)]
    assert set(entry.needs) <= set(before)


def test_the_graph_binds_each_with_what_it_needs(tmp_path: Path) -> None:
    ingress = build(Settings(data_dir=tmp_path))._bound_deployment
    jobs = ingress.init_kwargs["jobs"]._bound_deployment
    assert (ingress.name, jobs.name) == ("Ingress", "Jobs")
    assert set(ingress.init_kwargs) - {"jobs"} == set(jobs.init_kwargs) == set(CATALOG)
    for name, entry in CATALOG.items():
        bound = ingress.init_kwargs[name]._bound_deployment
        assert bound.name == entry.deployment
        assert {need: app._bound_deployment.name for need, app in bound.init_kwargs.items()} == {
            need: CATALOG[need].deployment for need in entry.needs
        }


def test_the_configuration_check_knows_exactly_these() -> None:
    assert set(config.DEPLOYMENTS) == {"Ingress", "Jobs", *BY_DEPLOYMENT}
    chosen = config.chosen_engines(config.read(ROOT / "serve_config.local.yaml"))
    assert set(chosen) == set(BY_DEPLOYMENT)
