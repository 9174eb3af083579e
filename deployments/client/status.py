"""The status of each capability, which `/readyz` and `/v1/models` report.

Two sources: Serve's controller knows the configuration of every deployment and how many replicas run, even of a
capability that is scaled to zero; the replicas know whether their engine is loaded. Asking never starts a replica.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError
from ray.serve.exceptions import RayServeException

from deployments.capabilities.protocol import ReplicaState
from deployments.catalog import CATALOG, CatalogEntry
from deployments.client.controller import deployment_details
from deployments.client.handles import Handle, Handles
from pipelines.contracts.engine import ModelCard

MAX_AGE_S = 1.0
REPLY_TIMEOUT_S = 2.0


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
    """Asks the running graph, at most once a second."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles
        self._latest: dict[str, CapabilityStatus] = {}
        self._asked_s = float("-inf")
        self._asking = asyncio.Lock()
        self._has_started = False

    async def capabilities(self) -> dict[str, CapabilityStatus]:
        """Every capability's status, by its name."""
        async with self._asking:
            if time.monotonic() - self._asked_s > MAX_AGE_S:
                details = await deployment_details()
                statuses = [
                    _status(CATALOG[name], handle, details.get(CATALOG[name].deployment, {}))
                    for name, handle in vars(self._handles).items()
                ]
                self._latest = {status.capability: status for status in await asyncio.gather(*statuses)}
                self._asked_s = time.monotonic()
            return self._latest

    async def is_starting(self) -> bool:
        """Whether a capability has yet to start for the first time; once False, it stays False."""
        if not self._has_started:
            states = {status.state for status in (await self.capabilities()).values()}
            self._has_started = states.isdisjoint({"starting", "loading"})
        return not self._has_started

    async def is_absent(self, deployment: str) -> bool:
        """Whether no replica of this deployment runs."""
        return any(
            status.replicas == 0
            for name, status in (await self.capabilities()).items()
            if CATALOG[name].deployment == deployment
        )


async def _status(entry: CatalogEntry, handle: Handle, details: dict[str, Any]) -> CapabilityStatus:
    schema = details.get("deployment_config", {})
    engine, card = _configured(entry, schema.get("user_config") or {})
    running = sum(replica["state"] == "RUNNING" for replica in details.get("replicas", []))
    if running == 0:
        if details.get("status") in ("UNHEALTHY", "DEPLOY_FAILED"):
            reason = "its replicas do not start; see Serve's log"
            return CapabilityStatus(entry.name, "failing", engine, card, reason)
        scaled_to_zero = (schema.get("autoscaling_config") or {}).get("min_replicas") == 0
        return CapabilityStatus(entry.name, "cold" if scaled_to_zero else "starting", engine, card)
    replies = await _replica_states(handle)
    if not replies:  # every replica is too busy to answer: it works
        return CapabilityStatus(entry.name, "ready", engine, card, replicas=running)
    worst = min(replies, key=lambda state: ("failing", "loading", "ready").index(state.state))
    return CapabilityStatus(entry.name, worst.state, engine, card, worst.reason, worst.load_s, running)


async def _replica_states(handle: Handle) -> list[ReplicaState]:
    """What the replicas report in time."""
    try:
        replies = await handle.broadcast("state").results_async(timeout_s=REPLY_TIMEOUT_S, return_exceptions=True)
    except (TimeoutError, RayServeException):
        return []
    return [reply for reply in replies if isinstance(reply, ReplicaState)]


def _configured(entry: CatalogEntry, user_config: dict[str, Any]) -> tuple[str, ModelCard]:
    try:
        config = entry.parse(user_config)
    except ValidationError:
        model = str(user_config.get("model", ""))
        return str(user_config.get("engine", "")), ModelCard(
            model=model, license="", description="The user_config is invalid."
        )
    return config.engine, config.card()
