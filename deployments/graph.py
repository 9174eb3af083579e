"""The graph: every capability of the catalog, the ingress before them and the job worker beside it.

`serve_config.yaml` names `build` as its `import_path` and configures each deployment by its name.
"""

from typing import Any

from ray import serve
from ray.serve import Application

from deployments.catalog import CATALOG
from deployments.http.ingress import Ingress
from deployments.jobs.worker import Jobs
from deployments.settings import Settings


def build(settings: Settings) -> Application:
    """Build the application; each class becomes the deployment of its name.

    Args:
        settings: the YAML's `args`, completed by the environment.
    """
    capabilities: dict[str, Application] = {}
    for name, entry in CATALOG.items():
        needed = {each: capabilities[each] for each in entry.needs}
        capabilities[name] = _bind(entry.deployment_class(), settings, **needed)
    return _bind(Ingress, settings, jobs=_bind(Jobs, settings, **capabilities), **capabilities)


def _bind(kind: type, *args: Any, **handles: Application) -> Application:
    return serve.deployment()(kind).bind(*args, **handles)
