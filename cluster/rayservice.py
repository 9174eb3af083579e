"""KubeRay's RayService, made from `serve_config.yaml` and the cluster's template.

`python -m cluster.rayservice` writes `cluster/rayservice.yaml`; a test keeps that file up to date.
"""

from pathlib import Path
from typing import Any

import yaml

CLUSTER = Path(__file__).parent
TEMPLATE = CLUSTER / "rayservice.template.yaml"
MANIFEST = CLUSTER / "rayservice.yaml"
SERVE_CONFIG = CLUSTER.parent / "serve_config.yaml"
HEADER = "# Made by `python -m cluster.rayservice`. Change serve_config.yaml or rayservice.template.yaml instead.\n"


class _Dumper(yaml.SafeDumper):
    """Long strings as blocks, shared parts written out."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write each part where it belongs."""
        return True


def _as_block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _as_block)


def manifest() -> str:
    """The manifest as YAML. In a pod Serve listens on every interface, where the service reaches it; keys guard it."""
    serve = yaml.safe_load(SERVE_CONFIG.read_text(encoding="utf-8"))
    serve["http_options"]["host"] = "0.0.0.0"  # noqa: S104  see above
    service = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    service["spec"]["serveConfigV2"] = yaml.safe_dump(serve, sort_keys=False, allow_unicode=True)
    return HEADER + yaml.dump(service, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    MANIFEST.write_text(manifest(), encoding="utf-8")
