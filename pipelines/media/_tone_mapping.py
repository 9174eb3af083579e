"""HDR video for what takes 8 bits: PQ and HLG (ITU-R BT.2100) become sRGB, with diffuse white kept bright.

Nothing below three quarters of diffuse white (203 cd/m², ITU-R BT.2408) is touched by the tone curve; brighter light
rolls off and reaches white at 1,000 cd/m². Colors keep their hue, and those that BT.709 lacks are clipped. The curve is
the same for every video: mastering metadata and Dolby Vision are not read.
"""

import tempfile
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

SAMPLES = "gbrp16le"
"""The pixel format that is mapped, in full range."""

_Light = NDArray[np.float64]

_PQ, _HLG = 16, 18  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
_WHITE_NITS = 203
_PEAK_NITS = 1_000
_KNEE = 0.75
_GRID = 65
_BT709 = 1
_TO_BT709 = {12: ((1.22494, -0.22494, 0.0), (-0.04206, 1.04206, 0.0), (-0.01964, -0.07864, 1.09827))}  # Display P3
_BT2020_TO_BT709 = ((1.66049, -0.58764, -0.07285), (-0.12455, 1.13290, -0.00835), (-0.01815, -0.10058, 1.11873))


def is_hdr(frame: "av.VideoFrame") -> bool:
    """Whether the frame says that it is PQ or HLG."""
    return frame.color_trc in (_PQ, _HLG)


class ToneMapper:
    """For frames of one size and kind of HDR."""

    def __init__(self, frame: "av.VideoFrame") -> None:
        """`frame` is the first of them, in `SAMPLES`."""
        import av

        self._of = _kind(frame)
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
        )
        with tempfile.NamedTemporaryFile("w", suffix=".cube") as cube:  # FFmpeg takes a table only from a file
            cube.write(_cube(frame.color_trc, frame.color_primaries))
            cube.flush()
            self._graph.link_nodes(source, self._graph.add("lut3d", file=cube.name), self._graph.add("buffersink"))
            self._graph.configure()

    def fits(self, frame: "av.VideoFrame") -> bool:
        """Whether this mapper is for frames like this one."""
        return _kind(frame) == self._of

    def map(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The frame, still in `SAMPLES`, in sRGB."""
        self._graph.vpush(frame)
        return self._graph.vpull()


def _kind(frame: "av.VideoFrame") -> tuple[int, int, int, int]:
    return frame.width, frame.height, frame.color_trc, frame.color_primaries


def _cube(transfer: int, primaries: int) -> str:
    """The table, as Adobe's .cube has it: from R'G'B' to R'G'B', red fastest."""
    steps = np.linspace(0, 1, _GRID)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    signal = np.stack([red, green, blue], axis=-1).reshape(-1, 3)
    light = _pq_light(signal) if transfer == _PQ else _hlg_light(signal)
    if primaries != _BT709:
        light = np.maximum(light @ np.transpose(_TO_BT709.get(primaries, _BT2020_TO_BT709)), 0)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    mapped = _srgb(light * (_roll_off(brightest) / brightest))
    return f"LUT_3D_SIZE {_GRID}\n" + "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in mapped.tolist()) + "\n"


def _pq_light(signal: _Light) -> _Light:
    """Light in units of diffuse white, by the EOTF of BT.2100's PQ."""
    root = signal ** (32 / 2523)
    nits: _Light = 10_000 * (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305)
    return nits / _WHITE_NITS


def _hlg_light(signal: _Light) -> _Light:
    """Likewise by HLG's, on a display of 1,000 cd/m² with its system gamma of 1.2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ np.array([[0.2627], [0.6780], [0.0593]])
    nits: _Light = _PEAK_NITS * luminance**0.2 * scene
    return nits / _WHITE_NITS


def _roll_off(light: _Light) -> _Light:
    """Reinhard's extended curve above the knee, with the same slope there; 1 at the peak."""
    over = np.maximum(light - _KNEE, 0) / (1 - _KNEE)
    peak = (_PEAK_NITS / _WHITE_NITS - _KNEE) / (1 - _KNEE)
    curved = _KNEE + (1 - _KNEE) * over * (1 + over / peak**2) / (1 + over)
    return np.minimum(np.where(over > 0, curved, light), 1)


def _srgb(light: _Light) -> _Light:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)
