"""Chat: answers in a conversation, grounded in documents if passages are given."""

from typing import Annotated

from pydantic import Field

from pipelines.chat.base import ChatModel, ChatRequest, Delta, FinishReason, Message, Role, Usage
from pipelines.chat.extractive import ExtractiveConfig
from pipelines.chat.grounding import build_grounded_messages
from pipelines.chat.openai import OpenAIConfig
from pipelines.chat.starter import StarterConfig
from pipelines.chat.transformers import TransformersConfig
from pipelines.chat.vllm import VllmConfig

Config = Annotated[
    StarterConfig | ExtractiveConfig | TransformersConfig | VllmConfig | OpenAIConfig, Field(discriminator="engine")
]

__all__ = [
    "ChatModel",
    "ChatRequest",
    "Config",
    "Delta",
    "ExtractiveConfig",
    "FinishReason",
    "Message",
    "OpenAIConfig",
    "Role",
    "StarterConfig",
    "TransformersConfig",
    "Usage",
    "VllmConfig",
    "build_grounded_messages",
]
