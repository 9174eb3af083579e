"""Frame interpolation by RIFE 4.x: a small network that estimates the flow at any moment between two frames."""

from pipelines.frame_interpolation.rife.engine import Rife, RifeConfig

__all__ = ["Rife", "RifeConfig"]
