"""Object tracking without any model to download: OpenCV finds what moves or people, ByteTrack gives identities."""

from pipelines.object_tracking.classical.engine import ClassicalConfig, ClassicalTracker

__all__ = ["ClassicalConfig", "ClassicalTracker"]
