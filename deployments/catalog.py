"""The catalog lists every capability once: the graph, the configuration check, `pull`, status and handles follow it.

Imports no model library and no deployment, so that the ingress stays small.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

from pydantic import TypeAdapter

from pipelines import (
    chat,
    frame_interpolation,
    image_generation,
    image_understanding,
    knowledge,
    object_tracking,
    speech_recognition,
    speech_synthesis,
    super_resolution,
    video_generation,
)
from pipelines.contracts.engine import EngineConfig


@dataclass(frozen=True)
class CatalogEntry:
    """One capability.

    Attributes:
        name: of its handle and of its module in `deployments.capabilities`.
        config: its engines' configurations: the union that its `user_config` is read by.
        needs: the capabilities that it calls; they are listed before it, and their handles are passed to it by name.
    """

    name: str
    config: Any
    needs: tuple[str, ...] = ()

    @property
    def deployment(self) -> str:
        """Name of its class and of its block in the YAML: `SpeechRecognition` for `speech_recognition`."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    def deployment_class(self) -> type:
        """The class itself, imported now."""
        found: type = getattr(import_module(f"deployments.capabilities.{self.name}"), self.deployment)
        return found

    def parse(self, user_config: dict[str, Any] | None) -> EngineConfig:
        """Read a `user_config`; raises pydantic's `ValidationError`."""
        config: EngineConfig = self._adapter.validate_python(user_config or {})
        return config

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.config)


_ENTRIES = (
    CatalogEntry("knowledge", knowledge.Config),
    CatalogEntry("chat", chat.Config, needs=("knowledge",)),
    CatalogEntry("speech_recognition", speech_recognition.Config),
    CatalogEntry("speech_synthesis", speech_synthesis.Config),
    CatalogEntry("image_generation", image_generation.Config),
    CatalogEntry("image_understanding", image_understanding.Config),
    CatalogEntry("super_resolution", super_resolution.Config),
    CatalogEntry("object_tracking", object_tracking.Config),
    CatalogEntry("video_generation", video_generation.Config),
    CatalogEntry("frame_interpolation", frame_interpolation.Config),
)
CATALOG = {entry.name: entry for entry in _ENTRIES}
BY_DEPLOYMENT = {entry.deployment: entry for entry in _ENTRIES}
