"""What crosses a handle between the ingress or the job worker and a capability: requests and events.

A call is a stream of events: first `EngineInfo`, then `Update`s, last `ResultEvent`. Chat streams tuples of deltas
and speech synthesis encoded bytes after `EngineInfo`. Imports neither Ray nor torch: both sides of a handle use it.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.chat import Message
from pipelines.knowledge.base import DEFAULT_OWNER
from pipelines.media.audio import AudioFormat
from pipelines.speech_recognition import Segment


@dataclass(frozen=True)
class Source:
    """An upload in the object store.

    Attributes:
        key: its key in the store.
        name: the sender's file name; never used as a path.
        kind: its file format, detected from its bytes.
        container: FFmpeg's demuxer, for audio and video.
    """

    key: str
    name: str = ""
    kind: str = ""
    container: str = ""


@dataclass(frozen=True)
class ChatCall:
    """A chat request; `category` grounds the answer in the documents of that category of `owner`."""

    messages: tuple[Message, ...]
    category: str | None = None
    owner: str = DEFAULT_OWNER
    temperature: float = 0.8
    max_tokens: int = 500
    stop: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recognized:
    """What was said in a recording, and what is known of the whole of it, speech or not.

    Attributes:
        duration_s: of all that could be decoded.
        language: of the speech, as named or heard; of a recording without speech the one named, or "".
    """

    segments: tuple[Segment, ...]
    duration_s: float
    language: str


@dataclass(frozen=True)
class SpeechCall:
    """A speech synthesis request; `None` means the engine's default."""

    text: str
    voice: str | None = None
    language: str | None = None
    speed: float = 1.0
    format: AudioFormat = "mp3"


@dataclass(frozen=True)
class EngineInfo:
    """The first event of a call: the engine and model that answer it."""

    engine: str
    model: str


@dataclass(frozen=True)
class Update:
    """Progress of a call: `fraction` 0 to 1, or `None` if the total is unknown."""

    fraction: float | None
    stage: str


@dataclass(frozen=True)
class ResultEvent:
    """The last event of a call. Media in `result` are keys of the object store, never addresses or bytes."""

    result: Any


CallEvent = EngineInfo | Update | ResultEvent


@dataclass(frozen=True)
class ReplicaState:
    """What a replica reports of itself: its engine's state, why it fails, and how long the load took."""

    state: Literal["loading", "ready", "failing"]
    engine: str
    model: str
    reason: str = ""
    load_s: float = 0.0
