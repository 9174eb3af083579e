"""Reading and writing images, audio and video, from and to file objects."""

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
"""RGB image, uint8 (H, W, 3), sRGB."""

Waveform = NDArray[np.float32]
"""Mono audio, float32 (samples,), -1 to 1."""
