"""Object tracking: boxes with identities through a video."""

from pipelines.object_tracking.base import ObjectTracker, Tracks
from pipelines.object_tracking.classical import ClassicalConfig

Config = ClassicalConfig

__all__ = ["ClassicalConfig", "Config", "ObjectTracker", "Tracks"]
