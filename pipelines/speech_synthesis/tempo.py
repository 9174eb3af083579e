"""The tempo of recorded speech, by FFmpeg's `atempo`."""

from fractions import Fraction

import numpy as np

from pipelines.media import Waveform


def change_tempo(samples: Waveform, sample_rate_hz: int, tempo: float) -> Waveform:
    """Make speech faster or slower at the same pitch.

    Args:
        samples: float32 (samples,), not empty.
        sample_rate_hz: of the samples.
        tempo: 0.5 to 100; 2 is twice as fast.

    Returns:
        About `len(samples) / tempo` samples, float32, -1 to 1.
    """
    import av
    from av.error import BlockingIOError, EOFError  # FFmpeg's, not Python's

    graph = av.filter.Graph()
    source = graph.add_abuffer(
        format="flt", sample_rate=sample_rate_hz, layout="mono", time_base=Fraction(1, sample_rate_hz)
    )
    sink = graph.add("abuffersink")
    graph.link_nodes(source, graph.add("atempo", f"{tempo:.6f}"), sink).configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="flt", layout="mono")
    frame.sample_rate = sample_rate_hz
    frame.pts = 0
    source.push(frame)
    source.push(None)
    done: list[Waveform] = [np.zeros(0, np.float32)]
    while True:
        try:
            out = sink.pull()
        except (BlockingIOError, EOFError):
            return np.clip(np.concatenate(done), -1, 1)
        if isinstance(out, av.AudioFrame):
            done.append(out.to_ndarray().reshape(-1).astype(np.float32, copy=False))
