"""The handles that the ingress holds, one for each capability."""

from dataclasses import dataclass, fields

from ray.serve.handle import DeploymentHandle


@dataclass(frozen=True)
class Handles:
    """A handle to each capability; `speech_recognition` is the deployment `SpeechRecognition`."""

    knowledge: DeploymentHandle
    chat: DeploymentHandle
    speech_recognition: DeploymentHandle
    speech_synthesis: DeploymentHandle
    image_generation: DeploymentHandle
    image_understanding: DeploymentHandle
    super_resolution: DeploymentHandle
    object_tracking: DeploymentHandle
    video_generation: DeploymentHandle
    frame_interpolation: DeploymentHandle

    def by_capability(self) -> dict[str, DeploymentHandle]:
        """Every handle by its capability's name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def deployment_name(capability: str) -> str:
    """`speech_recognition` to `SpeechRecognition`."""
    return "".join(word.capitalize() for word in capability.split("_"))
