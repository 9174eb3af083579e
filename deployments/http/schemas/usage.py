"""What a principal has used."""

from typing import Literal

from pydantic import BaseModel, Field


class UsedOnDay(BaseModel):
    """What one principal used on one day in UTC."""

    principal: str
    date: str
    calls: int
    tokens: int = Field(description="Of chat, embeddings and reranking, read and written")
    audio_s: float = Field(description="Seconds of recognized audio")
    images: int = Field(description="Made, enhanced or described")
    frames: int = Field(description="Of videos that were made")
    bytes: int = Field(description="Of all bodies, in and out")


class UsageList(BaseModel):
    """Answer of `/v1/usage`."""

    object: Literal["list"]
    data: list[UsedOnDay]
