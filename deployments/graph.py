"""The graph: which deployments there are and which of them call which.

`serve_config.yaml` names `build` as its `import_path` and configures each deployment by its name.
"""

from ray.serve import Application

from deployments.chat import Chat
from deployments.frame_interpolation import FrameInterpolation
from deployments.image_generation import ImageGeneration
from deployments.image_understanding import ImageUnderstanding
from deployments.ingress import Ingress
from deployments.knowledge import Knowledge
from deployments.object_tracking import ObjectTracking
from deployments.settings import Settings
from deployments.speech_recognition import SpeechRecognition
from deployments.speech_synthesis import SpeechSynthesis
from deployments.super_resolution import SuperResolution
from deployments.video_generation import VideoGeneration


def build(settings: Settings) -> Application:
    """Build the application.

    Args:
        settings: the YAML's `args`, completed by the environment.
    """
    knowledge = Knowledge.bind(settings)
    return Ingress.bind(
        settings,
        knowledge=knowledge,
        chat=Chat.bind(settings, knowledge),
        speech_recognition=SpeechRecognition.bind(settings),
        speech_synthesis=SpeechSynthesis.bind(settings),
        image_generation=ImageGeneration.bind(settings, knowledge),
        image_understanding=ImageUnderstanding.bind(settings),
        super_resolution=SuperResolution.bind(settings),
        object_tracking=ObjectTracking.bind(settings),
        video_generation=VideoGeneration.bind(settings),
        frame_interpolation=FrameInterpolation.bind(settings),
    )
