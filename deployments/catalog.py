"""The configuration of every capability, by its name: what `user_config` may hold. Imports no model library."""

from typing import Any

from pydantic import TypeAdapter

from pipelines import (
    chat,
    frame_interpolation,
    image_generation,
    image_understanding,
    knowledge,
    object_tracking,
    speech_recognition,
    speech_synthesis,
    super_resolution,
    video_generation,
)

CONFIGS: dict[str, TypeAdapter[Any]] = {
    "knowledge": TypeAdapter(knowledge.Config),
    "chat": TypeAdapter(chat.Config),
    "speech_recognition": TypeAdapter(speech_recognition.Config),
    "speech_synthesis": TypeAdapter(speech_synthesis.Config),
    "image_generation": TypeAdapter(image_generation.Config),
    "image_understanding": TypeAdapter(image_understanding.Config),
    "super_resolution": TypeAdapter(super_resolution.Config),
    "object_tracking": TypeAdapter(object_tracking.Config),
    "video_generation": TypeAdapter(video_generation.Config),
    "frame_interpolation": TypeAdapter(frame_interpolation.Config),
}
