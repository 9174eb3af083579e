"""Frame interpolation: the engines make frames between neighbors, `stream.py` knows frame rates and scene cuts."""

from typing import Annotated

from pydantic import Field

from pipelines.frame_interpolation.base import FrameInterpolator
from pipelines.frame_interpolation.mmediting import MmeditingConfig
from pipelines.frame_interpolation.optical_flow import OpticalFlowConfig
from pipelines.frame_interpolation.rife import RifeConfig

Config = Annotated[OpticalFlowConfig | RifeConfig | MmeditingConfig, Field(discriminator="engine")]

__all__ = ["Config", "FrameInterpolator", "MmeditingConfig", "OpticalFlowConfig", "RifeConfig"]
