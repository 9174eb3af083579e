"""Chat: answers in a conversation, grounded in documents where passages are given."""

from pipelines.chat.base import ChatModel, ChatRequest, Delta, FinishReason, Message, Passage, Role, Usage
from pipelines.chat.extractive import ExtractiveConfig
from pipelines.chat.grounding import build_grounded_messages

Config = ExtractiveConfig

__all__ = [
    "ChatModel",
    "ChatRequest",
    "Config",
    "Delta",
    "ExtractiveConfig",
    "FinishReason",
    "Message",
    "Passage",
    "Role",
    "Usage",
    "build_grounded_messages",
]
