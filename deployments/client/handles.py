"""The handles that the ingress holds, one for each capability."""

from dataclasses import dataclass, fields
from typing import Any

from ray.serve.handle import DeploymentHandle

Handle = DeploymentHandle[Any]
"""What calls a deployment, or one of its methods: `handle.method`."""


@dataclass(frozen=True)
class Handles:
    """A handle to each capability; `speech_recognition` is the deployment `SpeechRecognition`."""

    knowledge: Handle
    chat: Handle
    speech_recognition: Handle
    speech_synthesis: Handle
    image_generation: Handle
    image_understanding: Handle
    super_resolution: Handle
    object_tracking: Handle
    video_generation: Handle
    frame_interpolation: Handle

    def by_capability(self) -> dict[str, Handle]:
        """Every handle by its capability's name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def deployment_name(capability: str) -> str:
    """`speech_recognition` to `SpeechRecognition`."""
    return "".join(word.capitalize() for word in capability.split("_"))
