"""Bodies of errors: each family of routes has one shape, which its clients know from the family's documentation."""

from abc import ABC, abstractmethod
from typing import Literal, Self

from pydantic import BaseModel

from deployments.http.errors import Failure

_SPEECH_CODES = {"empty_audio": 40000004, "unusable_media": 40000003, "invalid_parameter": 40000003}
"""The public RESTful speech convention that 20000000 comes from."""


class ErrorBody(BaseModel, ABC):
    """Base of the error bodies."""

    @classmethod
    @abstractmethod
    def of(cls, failure: Failure) -> Self:
        """The body that reports a failure."""


class OpenAIErrorDetail(BaseModel):
    """What went wrong, in OpenAI's terms."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIError(ErrorBody):
    """Error body of the routes that follow OpenAI."""

    error: OpenAIErrorDetail

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """The body that reports a failure."""
        kind = "invalid_request_error" if failure.status < 500 else "server_error"
        detail = OpenAIErrorDetail(message=failure.message, type=kind, param=failure.param, code=failure.code)
        return cls(error=detail)


def _speech_status(failure: Failure) -> int:
    if failure.code == "overloaded" or failure.status == 429:
        return 40000005
    if failure.status >= 500:
        return 50000000
    return _SPEECH_CODES.get(failure.code, 40000000)


class RecognitionError(ErrorBody):
    """Error body of `/v1/asr`."""

    result: Literal[""]
    status: int
    message: str

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """The body that reports a failure."""
        return cls(result="", status=_speech_status(failure), message=failure.message)


class SynthesisError(ErrorBody):
    """Error body of `/v1/tts`."""

    status: int
    message: str

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """The body that reports a failure."""
        return cls(status=_speech_status(failure), message=failure.message)


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str
    message: str


class MediaError(ErrorBody):
    """Error body of `/image/*` and `/video/*`."""

    status: Literal["error"]
    error: ErrorDetail

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """The body that reports a failure."""
        return cls(status="error", error=ErrorDetail(code=failure.code, message=failure.message))


class UploadError(ErrorBody):
    """Error body of `/uploadFile/*`."""

    result: Literal[False]
    error: ErrorDetail

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """The body that reports a failure."""
        return cls(result=False, error=ErrorDetail(code=failure.code, message=failure.message))
