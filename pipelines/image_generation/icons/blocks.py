"""Figures at natural size, before they have a place in the image."""

from dataclasses import dataclass, field

from pipelines.image_generation.icons.looks import Look


@dataclass
class Sprite:
    """A figure at natural size: x to the right, y upwards from the block's foot."""

    thing: int
    look: Look
    x: float
    y: float
    w: float
    h: float
    depth: float = 0.0
    floats: bool = False


@dataclass
class Block:
    """Figures that stay together."""

    sprites: list[Sprite]
    root: int
    left: float = field(init=False)
    right: float = field(init=False)
    low: float = field(init=False)
    high: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = min(each.x - each.w / 2 for each in self.sprites)
        self.right = max(each.x + each.w / 2 for each in self.sprites)
        self.low = min(each.y for each in self.sprites)
        self.high = max(each.y + each.h for each in self.sprites)

    @property
    def width(self) -> float:
        """From the leftmost to the rightmost edge."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From the lowest to the highest edge."""
        return self.high - self.low

    @property
    def rise(self) -> float:
        """How far the feet of its standing figures go up the image."""
        return max((each.y for each in self.sprites if not each.floats), default=0.0)
