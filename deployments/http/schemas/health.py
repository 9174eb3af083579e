"""What the health routes give."""

from typing import Literal

from pydantic import BaseModel


class Readiness(BaseModel):
    """One capability's state."""

    state: str
    engine: str
    model: str
    reason: str
    load_s: float


class Ready(BaseModel):
    """Answer of `/readyz`."""

    status: Literal["ready", "starting"]
    capabilities: dict[str, Readiness]
