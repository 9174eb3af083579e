"""From what Ray raises to errors of our own."""

import math

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from pipelines.contracts.errors import Overloaded, SensoriumError

INTERNAL_ERROR = ("internal_error", "Something went wrong on the server; its log has the details.")
"""Code and message for a client when the error is a defect of ours."""


class DeadlineExceeded(SensoriumError):
    """The call took longer than its deadline."""

    code = "deadline_exceeded"


def from_ray(error: Exception) -> Exception:
    """The error that a handle's call ended with, without Ray's wrapping."""
    if isinstance(error, RayTaskError):
        return error.cause if isinstance(error.cause, Exception) else error
    if isinstance(error, BackPressureError):
        return Overloaded("Too many calls are waiting; try again soon.", math.ceil(error.retry_after_s or 5))
    if isinstance(error, RayActorError | DeploymentUnavailableError):
        return Overloaded("The replica that served this call is gone; send it again.", 5)
    return error
