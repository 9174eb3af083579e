"""Frames in between: `stream.py` knows rates and scene cuts, the engines only two neighbours."""

from pipelines.frame_interpolation.base import FrameInterpolator
from pipelines.frame_interpolation.optical_flow import OpticalFlowConfig

Config = OpticalFlowConfig

__all__ = ["Config", "FrameInterpolator", "OpticalFlowConfig"]
