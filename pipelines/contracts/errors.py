"""The errors that pipelines raise, without HTTP: `deployments/http/errors.py` gives each its status.

SensoriumError
├── InvalidInput           an invalid parameter or text
│   └── UnsupportedByEngine  what the configured engine cannot do
├── InputTooLarge          more bytes than the limit
├── UnsupportedMedia       an unsupported file type
├── UnusableMedia          a supported type, but damaged, encrypted, empty, or without the required track
│   ├── TooManyPixels      decodes to more pixels than the limit
│   ├── TooLong            a video of more seconds or frames than the limit
│   └── EmptyAudio         no audio at all
├── NotFound               no such object, document, job
├── ModelUnavailable       weights or an environment are missing, or the engine failed to load
├── ModelLoading           the engine is still being loaded
├── Overloaded             no room at the moment: memory, queue
├── StorageFull            the store cannot take more bytes
└── Cancelled              the caller has left

A message is written for the person who made the call: it never carries a path, a traceback or a library's own message.
Errors cross process borders by pickle, so each takes positional arguments and passes all of them to `Exception`.
"""

from typing import ClassVar


class SensoriumError(Exception):
    """Base of all errors that a caller may see.

    Args:
        message: what is wrong and what to do, for the caller.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *args: object) -> None:
        super().__init__(message, *args)
        self.message = message


class InvalidInput(SensoriumError):
    """An invalid parameter or text; `param` names it."""

    code = "invalid_parameter"

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message, param)
        self.param = param


class UnsupportedByEngine(InvalidInput):
    """What the configured engine cannot do, and another one can; `param` names what asks for it."""

    code = "unsupported_by_engine"


class InputTooLarge(SensoriumError):
    """More bytes than the limit."""

    code = "too_large"


class UnsupportedMedia(SensoriumError):
    """An unsupported file type."""

    code = "unsupported_media_type"


class UnusableMedia(SensoriumError):
    """A file of a supported type that cannot be used."""

    code = "unusable_media"


class TooManyPixels(UnusableMedia):
    """An image or video that decodes to more pixels than the limit."""

    code = "too_many_pixels"


class TooLong(UnusableMedia):
    """A video of more seconds or frames than the limit, or with a long gap in it."""

    code = "too_long"


class EmptyAudio(UnusableMedia):
    """No audio data at all."""

    code = "empty_audio"


class NotFound(SensoriumError):
    """What was requested does not exist, or no longer."""

    code = "not_found"


class ModelUnavailable(SensoriumError):
    """The engine cannot answer: its weights or environment are missing, or its load failed."""

    code = "model_unavailable"


class ModelLoading(SensoriumError):
    """The engine is being loaded; try again in `retry_after_s`."""

    code = "model_loading"

    def __init__(self, message: str, retry_after_s: int = 10) -> None:
        super().__init__(message, retry_after_s)
        self.retry_after_s = retry_after_s


class Overloaded(SensoriumError):
    """No room at the moment; try again in `retry_after_s`."""

    code = "overloaded"

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        super().__init__(message, retry_after_s)
        self.retry_after_s = retry_after_s


class StorageFull(SensoriumError):
    """The store cannot take more bytes."""

    code = "storage_full"


class Cancelled(SensoriumError):
    """The caller has left; the work stopped."""

    code = "cancelled"
