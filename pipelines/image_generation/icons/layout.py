"""From a description to a scene: what stands where, how large, and in which colors.

Things that belong together (a cat on a sofa) form a block at natural size. Blocks stand side by side, as large as they
fit.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from pipelines.image_generation.icons.prompt import Color, Description, Look, Relation, rgb

MASCOT = 1.62
"""Height of a head with its body, in heads."""

_PALETTE = [rgb(color) for color in ("#e4572e", "#f2a71b", "#2f86c6", "#4fa777", "#9460b8", "#e8678f", "#2fb0a8")]
_HORIZON = {"road": 0.6, "beach": 0.5, "sea": 0.54, "table": 0.68, "room": 0.74}
_LIGHTS = {"day": {"sun"}, "sunset": {"sun"}, "night": {"moon", "stars"}}
_LAND = {"ground", "road", "snow", "desert"}


@dataclass
class Figure:
    """An icon of one of the `things`, in fractions of the image: its middle is at `x`, its foot at `base`."""

    thing: int
    look: Look
    x: float
    base: float
    width: float
    height: float
    depth: float = 0.0
    floats: bool = False
    color: Color = (0, 0, 0)

    @property
    def top(self) -> float:
        """Upper edge."""
        return self.base - self.height


@dataclass(frozen=True)
class Scene:
    """An image before it is painted: its figures, far ones first, and what `vocabulary.txt` calls scenery.

    `horizon` is a fraction of the height, from the top; `seed` decides what is left to the painter.
    """

    figures: list[Figure]
    sky: str
    sky_color: Color | None
    ground: str
    horizon: float
    features: set[str]
    seed: int


def arrange(described: Description, aspect_of: Callable[[str], float], seed: int, aspect: float) -> Scene:
    """Place everything in an image of a shape, width over height; `aspect_of` knows the icons'."""
    rng = np.random.default_rng(seed)
    ground, features = _ground(described), set(described.features)
    figures = _Blocks(described, aspect_of, rng).place(aspect, ground) if described.things else []
    figures.sort(key=lambda figure: figure.depth)
    palette = [_PALETTE[number] for number in rng.permutation(len(_PALETTE))]
    for index, figure in enumerate(figures):
        figure.color = described.things[figure.thing].color or figure.look.color or palette[index % len(palette)]
    if ground in {"grass", "road", "snow"} and not features & {"hills", "mountains", "forest", "city"}:
        features.add(str(rng.choice(("hills", "mountains", "forest"))))
    sky = described.sky or ("night" if features & {"moon", "stars"} else "day")
    features |= _LIGHTS.get(sky, set()) if not features & {"sun", "moon"} else set()
    crowd = min((figure.base for figure in figures if not figure.floats), default=1.0)
    horizon = 1.0 if ground in {"deep", "space"} else min(_HORIZON.get(ground, 0.66), crowd - 0.03)
    return Scene(figures, sky, described.sky_color, ground, horizon, features, seed)


def _ground(described: Description) -> str:
    """The stated ground, or the one where the things are at home."""
    homes = {thing.look.habitat for thing in described.things} - {"air"}
    land = homes & _LAND
    if described.ground:
        return "beach" if described.ground == "sea" and homes and homes == land else described.ground
    if not (described.sky or described.sky_color or described.features - {"stars", "moon"}):
        if len(homes) == 1 and homes <= {"deep", "space", "table"}:
            return homes.pop()
        if "room" in homes and all(thing.look.size < 1.8 for thing in described.things):
            return "room"
    if homes & {"water", "deep"}:
        return "beach" if land else "sea"
    return land.pop() if len(land) == 1 and land != {"ground"} else "grass"


class _Blocks:
    """The blocks of a description's things."""

    def __init__(self, described: Description, aspect_of: Callable[[str], float], rng: np.random.Generator) -> None:
        self.things, self.relations, self.aspect_of, self.rng = described.things, described.relations, aspect_of, rng
        self.hosts: dict[int, Relation] = {}  # for each thing that stands at another, the relation that places it
        for relation in self.relations:
            if relation.kind not in {"left", "right", "next"} and relation.subject != self._root(relation.object):
                self.hosts.setdefault(relation.subject, relation)

    def _root(self, thing: int) -> int:
        return self._root(self.hosts[thing].object) if thing in self.hosts else thing

    def place(self, aspect: float, ground: str) -> list[Figure]:
        """All figures in an image of a shape, as large as they fit."""
        roots, afloat = self._order(), ground in {"deep", "space"}
        blocks = [self._block(root, aspect / len(roots)) for root in roots]
        _, widths, heights = zip(*blocks, strict=True)
        scale = min(0.8, 0.88 * aspect / (sum(widths) + 0.1 * len(blocks)), 0.62 / max(heights))
        scale *= self.rng.uniform(0.9, 1)
        gap = (aspect - scale * sum(widths)) / (len(blocks) + 1)
        left = gap
        for figures, width, height in blocks:
            side = self.things[roots[0]].side if len(blocks) == 1 else ""
            x = left + gap * {"left": -0.7, "": self.rng.uniform(-0.25, 0.25), "right": 0.7}[side]
            foot = {"sea": 0.74, "road": 0.84}.get(ground, 0.88)
            foot -= (foot - 0.1 - scale * height) * self.rng.uniform(0.2, 0.8) * afloat
            for figure in figures:
                figure.x, figure.base = (x + scale * figure.x) / aspect, foot + scale * figure.base
                figure.width, figure.height = scale * figure.width / aspect, scale * figure.height
                figure.floats |= afloat
            left += gap + scale * width
        return [figure for figures, _, _ in blocks for figure in figures]

    def _order(self) -> list[int]:
        """The things that stand by themselves, from left to right."""
        order = [int(root) for root in self.rng.permutation(len(self.things)) if root not in self.hosts]
        order.sort(key=lambda root: ("left", "", "right").index(self.things[root].side))
        pairs = [(kind, self._root(one), self._root(other)) for one, kind, other in self.relations]
        for kind, one, other in pairs * len(pairs):
            first, second = (other, one) if kind == "right" else (one, other)
            apart = order.index(first) - order.index(second)
            if (kind in {"left", "right"} and apart > 0) or (kind == "next" and abs(apart) > 1):
                order.remove(first)
                order.insert(order.index(second), first)
        return order

    def _block(self, root: int, aspect: float) -> tuple[list[Figure], float, float]:
        """A thing as often as it is wanted, for a room of a shape, with all that belongs to it; width and height."""
        look, count = self.things[root].look, self.things[root].count
        width, height = self._size(look)
        rows = round((0.6 * count * width / height / aspect) ** 0.5)
        columns = ceil(count / min(max(rows, 1), count))
        flies = look.habitat == "air"
        hosts = []
        for index in range(count):
            row, column = divmod(index, columns)
            x = column - (min(columns, count - row * columns) - 1) / 2 + 0.1 * (row % 2)
            base = -(1.1 * row + 0.7 * flies) * height
            hosts.append(Figure(root, look, 1.16 * x * width, base, width, height, -row, flies))
        block = hosts + self._attached(root, hosts)
        left, right = min(each.x - each.width / 2 for each in block), max(each.x + each.width / 2 for each in block)
        top, foot = min(each.top for each in block), max(0.0, *(each.base for each in block))
        moved = [replace(each, x=each.x - left, base=each.base - foot) for each in block]
        return moved, right - left, foot - top

    def _size(self, look: Look) -> tuple[float, float]:
        aspect = self.aspect_of(look.icon) / (MASCOT if "mascot" in look.traits else 1)
        size = look.size**0.7  # true sizes would leave the small ones no room
        return size * min(1.0, aspect), size * min(1.0, 1 / aspect)

    def _attached(self, host: int, hosts: list[Figure]) -> list[Figure]:
        """What stands at the figures of a thing: one at each, or all at one of them."""
        added: list[Figure] = []
        for kind in sorted({relation.kind for relation in self.hosts.values()}):
            guests = [thing for thing, at in self.hosts.items() if (at.object, at.kind) == (host, kind)]
            crowd = [guest for guest in guests for _ in range(self.things[guest].count)]
            total, middle = len(crowd), hosts[len(hosts) // 2]
            spots = [(middle, step / 2, total) for step in range(1 - total, total, 2)]
            spots = [(each, 0.0, 1) for each in hosts] if total == len(hosts) else spots
            figures = [self._attach(guest, kind, *spot) for guest, spot in zip(crowd, spots, strict=True)]
            added += figures
            for guest in guests:
                added += self._attached(guest, [figure for figure in figures if figure.thing == guest])
        return added

    def _attach(self, guest: int, kind: str, host: Figure, place: float, total: int) -> Figure:
        """One figure at another; `place` counts from the middle of all `total` that share the host."""
        look = self.things[guest].look
        width, height = self._size(look)
        if kind == "under" and (host.look.habitat == "air" or "held" in host.look.traits):  # the host goes up
            grown = max(1.0, 1.3 * total * width / host.width)
            host.width, host.height, host.floats = grown * host.width, grown * host.height, True
            host.base = min(host.base, host.height / 2 - height)
            return Figure(guest, look, host.x + 1.12 * place * width, 0.0, width, height, host.depth + 0.1)
        kind = "worn" if kind == "on" and "worn" in look.traits else kind
        kind = "front" if kind == "in" and "holds" not in host.look.traits else kind
        room = {"on": host.width / total, "in": 0.75 * host.width / total, "under": 0.5 * host.height * width / height}
        scale = 0.55 * host.width / width if kind == "worn" else min(1.0, room.get(kind, width) / width)
        width, height = scale * width, scale * height
        (seat,) = host.look.traits.get("seat", (1.0,))
        across, down = host.look.traits.get("head", (0.5, 0.05))
        right, lower, nearer = {
            "on": (0.0, 0.02 * height - seat * host.height, 0.1),
            "worn": ((across - 0.5) * host.width, (down - 1) * host.height + 0.25 * height, 0.2),
            "in": (0.0, -0.45 * host.height, -0.05),
            "above": (0.0, -host.height - 0.16 * max(height, host.height), 0.1),
            "under": (0.0, 0.05 * host.height, 0.1),
            "behind": (host.width / 2 + 0.1 * width, -0.1 * host.height, -0.5),
            "front": (-0.22 * host.width, 0.12 * host.height, 0.5),
        }[kind]
        x, base = host.x + right + 1.12 * place * width, host.base + lower
        floats = host.floats or kind in {"on", "worn", "in", "above"}
        return Figure(guest, look, x, base, width, height, host.depth + nearer, floats)
