"""What the speech routes give."""

from pydantic import BaseModel


class Transcript(BaseModel):
    """Answer of `/v1/asr`."""

    result: str
    status: int
