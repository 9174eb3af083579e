"""The graph: which deployments there are and which of them call which.

`serve_config.yaml` names `build` as its `import_path` and configures each deployment by its name.
"""

from typing import Any

from ray import serve
from ray.serve import Application

from deployments.capabilities.chat import Chat
from deployments.capabilities.frame_interpolation import FrameInterpolation
from deployments.capabilities.image_generation import ImageGeneration
from deployments.capabilities.image_understanding import ImageUnderstanding
from deployments.capabilities.knowledge import Knowledge
from deployments.capabilities.object_tracking import ObjectTracking
from deployments.capabilities.speech_recognition import SpeechRecognition
from deployments.capabilities.speech_synthesis import SpeechSynthesis
from deployments.capabilities.super_resolution import SuperResolution
from deployments.capabilities.video_generation import VideoGeneration
from deployments.http.ingress import Ingress
from deployments.jobs.worker import Jobs
from deployments.settings import Settings


def build(settings: Settings) -> Application:
    """Build the application; each class becomes the deployment of its name.

    Args:
        settings: the YAML's `args`, completed by the environment.
    """
    knowledge = _bind(Knowledge, settings)
    capabilities = {
        "knowledge": knowledge,
        "chat": _bind(Chat, settings, knowledge),
        "speech_recognition": _bind(SpeechRecognition, settings),
        "speech_synthesis": _bind(SpeechSynthesis, settings),
        "image_generation": _bind(ImageGeneration, settings),
        "image_understanding": _bind(ImageUnderstanding, settings),
        "super_resolution": _bind(SuperResolution, settings),
        "object_tracking": _bind(ObjectTracking, settings),
        "video_generation": _bind(VideoGeneration, settings),
        "frame_interpolation": _bind(FrameInterpolation, settings),
    }
    return _bind(Ingress, settings, jobs=_bind(Jobs, settings, **capabilities), **capabilities)


def _bind(kind: type, *args: Any, **handles: Application) -> Application:
    return serve.deployment()(kind).bind(*args, **handles)
