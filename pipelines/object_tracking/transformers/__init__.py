"""Object tracking by a neural detector and ByteTrack."""

from pipelines.object_tracking.transformers.engine import TransformersConfig, TransformersTracker

__all__ = ["TransformersConfig", "TransformersTracker"]
