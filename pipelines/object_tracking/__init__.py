"""Object tracking: boxes with identities through a video."""

from typing import Annotated

from pydantic import Field

from pipelines.object_tracking.base import ObjectTracker, Tracks
from pipelines.object_tracking.classical import ClassicalConfig
from pipelines.object_tracking.mmtracking import MmtrackingConfig
from pipelines.object_tracking.transformers import TransformersConfig

Config = Annotated[ClassicalConfig | TransformersConfig | MmtrackingConfig, Field(discriminator="engine")]

__all__ = ["ClassicalConfig", "Config", "MmtrackingConfig", "ObjectTracker", "Tracks", "TransformersConfig"]
