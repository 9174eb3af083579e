"""Handles: what the ingress and the job worker call the capabilities by."""

from types import SimpleNamespace
from typing import Any

from ray.serve.handle import DeploymentHandle

Handle = DeploymentHandle[Any]
"""Calls a deployment, or one of its methods: `handle.method`."""


class Handles(SimpleNamespace):
    """A handle to each capability of the catalog, as an attribute of its name."""
