"""What all engines do with a text: check it, speak it sentence by sentence, put pauses between."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from pipelines.contracts.errors import InvalidInput
from pipelines.contracts.progress import Progress
from pipelines.media import Waveform
from pipelines.speech_synthesis.text import clean, is_speakable, pieces


def checked(text: str, speed: float) -> str:
    """The text, cleaned.

    Raises:
        InvalidInput: nothing that can be spoken, or a speed outside 0.25 to 4.
    """
    if not 0.25 <= speed <= 4:
        raise InvalidInput("speed must be 0.25 to 4.", "speed")
    text = clean(text)
    if not is_speakable(text):
        raise InvalidInput("The text holds nothing that can be spoken.", "text")
    return text


def speak(
    text: str,
    say: Callable[[str], Waveform],
    *,
    voice: str,
    speed: float,
    max_chars: int,
    sample_rate_hz: int,
    progress: Progress,
) -> Iterator[Waveform]:
    """Speak a checked text piece by piece.

    Args:
        text: see `checked`.
        say: speaks one piece at the wanted speed; nothing for what it cannot speak.
        voice: its name, for the error.
        speed: by which pauses become shorter; they do not become longer.
        max_chars: of one piece.
        sample_rate_hz: of what `say` gives.
        progress: called before each piece.

    Yields:
        Pieces, and the pauses between them.

    Raises:
        InvalidInput: nothing of the text could be spoken.
        Cancelled: `progress` said so.
    """
    done = 0
    spoken = False
    pause: Waveform = np.zeros(0, np.float32)
    for piece in pieces(text, max_chars):
        progress(min(done / len(text), 1.0), "speaking")
        done += len(piece.text)
        samples = say(piece.text)
        if not samples.size:
            continue
        if pause.size:
            yield pause
        spoken = True
        yield samples
        pause = np.zeros(round(piece.pause_s / max(speed, 1) * sample_rate_hz), np.float32)
    if not spoken:
        raise InvalidInput(f"The voice {voice!r} can speak nothing of this text.", "text")
    progress(1.0, "speaking")


def stretched(samples: Waveform, sample_rate_hz: int, speed: float) -> Waveform:
    """The sound `speed` times as fast at the same pitch, by FFmpeg's `atempo`.

    Args:
        samples: float32 (samples,), not empty.
        sample_rate_hz: of the sound.
        speed: 0.5 to 100.
    """
    import av
    from av.error import BlockingIOError, EOFError  # FFmpeg's, not Python's

    graph = av.filter.Graph()
    source = graph.add_abuffer(
        format="flt", sample_rate=sample_rate_hz, layout="mono", time_base=Fraction(1, sample_rate_hz)
    )
    sink = graph.add("abuffersink")
    graph.link_nodes(source, graph.add("atempo", f"{speed:.6f}"), sink).configure()
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
