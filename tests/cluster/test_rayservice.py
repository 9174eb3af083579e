"""The KubeRay manifest is what serve_config.yaml says, and what KubeRay takes."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster import rayservice
from tests.serving import ROOT

SCHEMA = Path(__file__).parents[3] / "shared" / "schemas" / "ray.io_rayservices.yaml"


def strict(schema: Any) -> Any:
    """KubeRay's schema without room for typos; defaults need not be written."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    properties = made.get("properties")
    if isinstance(properties, dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
        if "required" in made:
            made["required"] = [name for name in made["required"] if "default" not in properties.get(name, {})]
    return made


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    if not SCHEMA.is_file():
        pytest.skip("KubeRay's schema ray.io_rayservices.yaml is not here")
    versions = yaml.safe_load(SCHEMA.read_text())["spec"]["versions"]
    found = next(version for version in versions if version["name"] == "v1")["schema"]["openAPIV3Schema"]
    found["properties"]["metadata"] = {"type": "object", "additionalProperties": True}
    return strict(found)


def test_the_committed_manifest_is_the_generated_one() -> None:
    assert rayservice.MANIFEST.read_text() == rayservice.manifest()


def test_it_serves_what_serve_config_says() -> None:
    served = yaml.safe_load(yaml.safe_load(rayservice.manifest())["spec"]["serveConfigV2"])
    wanted = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    assert served["http_options"].pop("host") == "0.0.0.0"  # noqa: S104  inside a pod
    assert wanted["http_options"].pop("host") == "127.0.0.1"
    assert served == wanted


def test_kuberay_takes_it(schema: dict[str, Any]) -> None:
    jsonschema.validate(yaml.safe_load(rayservice.manifest()), schema)


def test_the_check_catches_a_typo(schema: dict[str, Any]) -> None:
    manifest = yaml.safe_load(rayservice.manifest())
    manifest["spec"]["rayClusterConfig"]["rayVersionn"] = "2"
    with pytest.raises(jsonschema.ValidationError, match="rayVersionn"):
        jsonschema.validate(manifest, schema)


def test_keys_and_stores_come_from_the_environment() -> None:
    cluster = yaml.safe_load(rayservice.manifest())["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        for container in group["template"]["spec"]["containers"]:
            sources = [next(iter(source)) for source in container["envFrom"]]
            assert sources == ["configMapRef", "secretRef"]
    assert cluster["authOptions"]["mode"] == "token"
    assert cluster["rayVersion"] in (ROOT / "constraints.txt").read_text()
