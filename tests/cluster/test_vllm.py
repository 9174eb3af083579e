"""vLLM's manifest holds together, and the graph takes the block that stands in it and in the README."""

import re
from typing import Any

import jsonschema
import yaml
from pydantic import TypeAdapter

from pipelines import chat
from tests.cluster.test_rayservice import schema
from tests.serving import ROOT

__all__ = ["schema"]
MANIFEST = (ROOT / "cluster" / "vllm.yaml").read_text()


def test_its_parts_fit_together(schema: dict[str, Any]) -> None:
    deployment, claim, service = yaml.safe_load_all(MANIFEST)
    template = deployment["spec"]["template"]
    cluster = schema["properties"]["spec"]["properties"]["rayClusterConfig"]["properties"]
    jsonschema.validate(template, cluster["headGroupSpec"]["properties"]["template"])
    assert (
        service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    )
    [container] = template["spec"]["containers"]
    assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in container["ports"]}
    claimed = [volume["persistentVolumeClaim"]["claimName"] for volume in template["spec"]["volumes"][1:]]
    assert claimed == [claim["metadata"]["name"]]


def test_the_graph_takes_the_block() -> None:
    [head] = re.findall(r"user_config: (\{.*\})", MANIFEST)
    [read_me] = re.findall(r"user_config: (\{engine: openai.*\})", (ROOT / "README.md").read_text())
    assert yaml.safe_load(head) == yaml.safe_load(read_me)
    config = TypeAdapter(chat.Config).validate_python(yaml.safe_load(head))
    deployment, _, service = yaml.safe_load_all(MANIFEST)
    assert config.base_url == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/v1"
    assert f"--model={config.model}" in deployment["spec"]["template"]["spec"]["containers"][0]["args"]
