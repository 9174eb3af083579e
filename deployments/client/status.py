"""What each capability is and how it fares: the truth behind `/readyz` and `/v1/models`.

Two sources: Serve's controller knows every block's configuration and how many replicas run, also of a capability that
is scaled to zero; the replicas know whether their engine is loaded. A capability is never woken by being asked.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Literal

import ray
from pydantic import ValidationError
from ray import serve
from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE
from ray.serve.exceptions import RayServeException

from deployments.capabilities.protocol import ReplicaState
from deployments.catalog import CATALOG, CatalogEntry
from deployments.client.handles import Handle, Handles
from pipelines.contracts.engine import ModelCard

FRESH_S = 1.0
ANSWER_WITHIN_S = 2.0


@dataclass(frozen=True)
class CapabilityStatus:
    """One capability.

    Attributes:
        state: starting (its first replica is not up), loading, ready, cold (scaled to zero), failing.
        reason: why it fails, or what it waits for.
    """

    capability: str
    state: Literal["starting", "loading", "ready", "cold", "failing"]
    engine: str
    card: ModelCard
    reason: str = ""
    load_s: float = 0.0
    replicas: int = 0


class Status:
    """Looks at the running graph, at most once a second."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles
        self._latest: dict[str, CapabilityStatus] = {}
        self._at_s = float("-inf")
        self._looking = asyncio.Lock()
        self._has_started = False

    async def capabilities(self) -> dict[str, CapabilityStatus]:
        """Every capability's status, by its name."""
        async with self._looking:
            if time.monotonic() - self._at_s > FRESH_S:
                deployments = await _deployments()
                looks = [
                    self._look(CATALOG[name], handle, deployments.get(CATALOG[name].deployment, {}))
                    for name, handle in vars(self._handles).items()
                ]
                self._latest = {status.capability: status for status in await asyncio.gather(*looks)}
                self._at_s = time.monotonic()
            return self._latest

    async def is_starting(self) -> bool:
        """Whether a capability has yet to start for the first time; once False, it stays False."""
        if not self._has_started:
            states = {status.state for status in (await self.capabilities()).values()}
            self._has_started = states.isdisjoint({"starting", "loading"})
        return not self._has_started

    async def is_absent(self, deployment: str) -> bool:
        """No replica of this deployment runs."""
        return any(
            status.replicas == 0
            for name, status in (await self.capabilities()).items()
            if CATALOG[name].deployment == deployment
        )

    async def _look(self, entry: CatalogEntry, handle: Handle, deployment: dict[str, Any]) -> CapabilityStatus:
        name = entry.name
        schema = deployment.get("deployment_config", {})
        engine, card = _configured(entry, schema.get("user_config") or {})
        running = sum(replica["state"] == "RUNNING" for replica in deployment.get("replicas", []))
        if running == 0:
            scaled_to_zero = (schema.get("autoscaling_config") or {}).get("min_replicas") == 0
            if deployment.get("status") in ("UNHEALTHY", "DEPLOY_FAILED"):
                return CapabilityStatus(name, "failing", engine, card, "its replicas do not start; see Serve's log")
            state: Literal["cold", "starting"] = "cold" if scaled_to_zero else "starting"
            return CapabilityStatus(name, state, engine, card)
        told = await _told(handle)
        if not told:  # every replica is too busy to answer: it works
            return CapabilityStatus(name, "ready", engine, card, replicas=running)
        worst = min(told, key=lambda state: ("failing", "loading", "ready").index(state.state))
        return CapabilityStatus(name, worst.state, engine, card, worst.reason, worst.load_s, running)


async def _deployments() -> dict[str, dict[str, Any]]:
    """Serve's details of each deployment of our application, by name."""
    controller: Any = ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
    details = await controller.get_serve_instance_details.remote()
    application = serve.get_replica_context().app_name
    found: dict[str, dict[str, Any]] = details["applications"].get(application, {}).get("deployments", {})
    return found


def http_address() -> tuple[str, int]:
    """Host and port that this graph's HTTP proxies listen on."""
    controller: Any = ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
    options: Any = ray.get(controller.get_http_config.remote())
    return options.host, options.port


async def _told(handle: Handle) -> list[ReplicaState]:
    try:
        answers = await handle.broadcast("state").results_async(timeout_s=ANSWER_WITHIN_S, return_exceptions=True)
    except (TimeoutError, RayServeException):
        return []
    return [answer for answer in answers if isinstance(answer, ReplicaState)]


def _configured(entry: CatalogEntry, user_config: dict[str, Any]) -> tuple[str, ModelCard]:
    engine = str(user_config.get("engine", ""))
    try:
        config = entry.parse(user_config)
    except ValidationError:
        return engine, ModelCard(
            model=str(user_config.get("model", "")), license="", description="not a valid user_config"
        )
    return config.engine, config.card()
