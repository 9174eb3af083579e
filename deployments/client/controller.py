"""Serve's controller: what runs, where it listens, and what shall run. The only module on private APIs of Ray.

Ray's public API has no counterpart: `serve.status` leaves out each deployment's configuration, and a file like
`serve_config.yaml` is otherwise deployed by Ray's dashboard, which this product does not start.
"""

from typing import Any

import ray
from ray import serve
from ray.serve._private.api import serve_start
from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE
from ray.serve.schema import ServeDeploySchema


def _controller() -> Any:
    return ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)


async def deployment_details() -> dict[str, dict[str, Any]]:
    """Serve's details of each deployment of the application that this replica belongs to, by name."""
    details = await _controller().get_serve_instance_details.remote()
    application = serve.get_replica_context().app_name
    found: dict[str, dict[str, Any]] = details["applications"].get(application, {}).get("deployments", {})
    return found


def http_address() -> tuple[str, int]:
    """Host and port that this graph's HTTP proxies listen on."""
    options: Any = ray.get(_controller().get_http_config.remote())
    return options.host, options.port


def deploy(schema: ServeDeploySchema) -> None:
    """Start Serve if it does not run, and change what differs from `schema`."""
    client = serve_start(http_options=schema.http_options.model_dump(), proxy_location=schema.proxy_location)
    client.deploy_apps(schema)
