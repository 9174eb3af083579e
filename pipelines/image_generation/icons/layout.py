"""From a description to a scene: what stands where, how large, and in which colours.

Blocks of figures that belong together (a cat on a sofa) are built at natural size, packed side by side on the ground
or scattered in the air, and scaled as a whole to fill the image.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from pipelines.image_generation.icons.blocks import Block, Sprite
from pipelines.image_generation.icons.looks import Colour, Look, rgb
from pipelines.image_generation.icons.prompt import Description, Relation
from pipelines.image_generation.icons.scene import Figure, Scene, ground_of, home_of, look_of
from pipelines.image_generation.icons.words import CONTAINERS

PALETTE: tuple[Colour, ...] = tuple(
    rgb(value) for value in ("#e4572e", "#f2a71b", "#2f86c6", "#4fa777", "#9460b8", "#e8678f", "#2fb0a8", "#3f5fa8")
)
MASCOT = 1.62
"""Height of a head with its body, in heads."""

_HORIZON = {"grass": 0.66, "road": 0.6, "beach": 0.5, "sea": 0.54, "snow": 0.66, "desert": 0.64, "table": 0.68,
            "room": 0.74, "deep": 1.0, "space": 1.0}  # fmt: skip
_FRONT = {"grass": 0.89, "road": 0.84, "beach": 0.88, "sea": 0.74, "snow": 0.89, "desert": 0.88, "table": 0.87,
          "room": 0.9, "deep": 0.78, "space": 0.78}  # fmt: skip

_DISTANCES = {
    "grass": ("", "", "hills", "forest", "mountains"),
    "road": ("", "city", "hills", "mountains"),
    "snow": ("", "forest", "mountains"),
    "sea": ("", "", "hills"),
}


def arrange(
    described: Description, aspect_of: Callable[[str], float], rng: np.random.Generator, aspect: float
) -> Scene:
    """Place everything.

    Args:
        described: what to show; every thing has a look.
        aspect_of: width over height of an icon.
        rng: decides what the prompt leaves open.
        aspect: width over height of the image.
    """
    return _Arranger(described, aspect_of, rng, aspect).scene()


class _Arranger:
    def __init__(
        self, described: Description, aspect_of: Callable[[str], float], rng: np.random.Generator, aspect: float
    ) -> None:
        self.described = described
        self.things = described.things
        self.looks = [look_of(thing) for thing in described.things]
        self.aspect_of = aspect_of
        self.rng = rng
        self.aspect = aspect
        self.ground = ground_of(described)
        self.host = self._hosts()
        self.mirrored = [bool(rng.integers(2)) and not look.still for look in self.looks]

    def scene(self) -> Scene:
        order = self._order()
        airy = [root for root in order if self._in_air(root)]
        standing = [root for root in order if root not in airy]
        sprites = self._standing(standing, bool(airy)) + self._airborne(airy, bool(standing))
        crowd = max((sprite.y for sprite in sprites if not sprite.floats), default=0.0)
        horizon = min(_HORIZON[self.ground], 1 - crowd - 0.03) if self.ground not in {"deep", "space"} else 1.0
        starlit = self.described.features & {"moon", "stars"} or any(look.name == "star" for look in self.looks)
        return Scene(
            figures=tuple(sorted(self._figures(sprites), key=lambda figure: figure.depth)),
            sky=self.described.sky or ("night" if starlit else "day"),
            sky_colour=self.described.sky_colour,
            ground=self.ground,
            horizon=max(0.3, horizon),
            features=frozenset(self.described.features | self._distance()),
            colours=self.described.colours,
            unknown=tuple(self.described.unknown),
            seed=int(self.rng.integers(2**31)),
        )

    def _distance(self) -> set[str]:
        """What the seed puts on the horizon where the prompt says nothing of it."""
        choices = _DISTANCES.get(self.ground, ())
        chosen = choices[int(self.rng.integers(len(choices)))] if choices else ""
        stated = self.described.features & {"hills", "mountains", "forest", "city"}
        return {chosen} if chosen and not stated else set()

    # --- who belongs to whom

    def _hosts(self) -> dict[int, Relation]:
        """For each thing that is placed relative to another, the relation that places it."""
        hosts: dict[int, Relation] = {}
        for relation in self.described.relations:
            if relation.kind in {"left", "right", "next"} or relation.subject in hosts:
                continue
            above = relation.object
            while above in hosts:
                above = hosts[above].object
            if above != relation.subject:
                hosts[relation.subject] = relation
        return hosts

    def _root(self, thing: int) -> int:
        while thing in self.host:
            thing = self.host[thing].object
        return thing

    def _order(self) -> list[int]:
        """Roots from left to right, as the relations want them."""
        roots = [index for index in range(len(self.things)) if index not in self.host]
        order = [int(root) for root in self.rng.permutation(roots)]
        order.sort(key=lambda root: {"left": -1, "right": 1}.get(self.things[root].side or "", 0))
        pairs = [(r.kind, self._root(r.subject), self._root(r.object)) for r in self.described.relations]
        for kind, subject, other in pairs:
            if kind == "next" and subject != other and abs(order.index(subject) - order.index(other)) > 1:
                order.remove(subject)
                order.insert(order.index(other) + int(self.rng.integers(2)), subject)
        ordered = [(a, b) if kind == "left" else (b, a) for kind, a, b in pairs if kind in {"left", "right"} and a != b]
        for _ in range(len(ordered)):
            for first, second in ordered:
                if order.index(first) > order.index(second):
                    order.remove(first)
                    order.insert(order.index(second), first)
        return order

    def _in_air(self, root: int) -> bool:
        placed = any(root in (self._root(r.subject), self._root(r.object)) for r in self.described.relations)
        if placed or self.things[root].side:
            return False
        return self.ground in {"deep", "space"} or home_of(self.things[root]) == "air"

    # --- blocks at natural size

    def _size(self, look: Look) -> tuple[float, float]:
        aspect = self.aspect_of(look.icon) / (MASCOT if look.mascot else 1)
        return (look.size, look.size / aspect) if aspect > 1 else (look.size * aspect, look.size)

    def _block(self, root: int, rows: int) -> Block:
        count, look = self.things[root].count, self.looks[root]
        w, h = self._size(look)
        columns = ceil(count / min(rows, count))
        lift = h * 0.7 if home_of(self.things[root]) == "air" and self.ground not in {"deep", "space"} else 0.0
        sprites = []
        for index in range(count):
            row, column = divmod(index, columns)
            in_row = min(columns, count - row * columns)
            x = (column - (in_row - 1) / 2) * w * 1.16 + (w * 0.12 if row % 2 else 0)
            sprites.append(Sprite(root, look, x, row * h * 1.1 + lift, w, h, -float(row), lift > 0))
        return Block(sprites + self._attached(root, sprites), root)

    def _attached(self, host: int, hosts: list[Sprite]) -> list[Sprite]:
        added: list[Sprite] = []
        for thing, relation in self.host.items():
            if relation.object != host:
                continue
            count = self.things[thing].count
            before, total = self._among(thing, relation)
            self._lift(hosts, self.looks[thing], relation.kind, total)
            mine = [
                self._attach(thing, relation.kind, hosts[index], 0, 1)
                if count == len(hosts) == total
                else self._attach(thing, relation.kind, hosts[len(hosts) // 2], before + index, total)
                for index in range(count)
            ]
            added += mine + self._attached(thing, mine)
        return added

    def _among(self, thing: int, relation: Relation) -> tuple[int, int]:
        """Of the figures that share a place (a cup and a plate on a table): how many come before, and all."""
        same = [
            each for each, other in self.host.items() if (other.kind, other.object) == (relation.kind, relation.object)
        ]
        counts = [0 if self.looks[each].worn and relation.kind == "on" else self.things[each].count for each in same]
        return sum(counts[: same.index(thing)]), max(1, sum(counts))

    def _lift(self, hosts: list[Sprite], look: Look, kind: str, total: int) -> None:
        """An umbrella, or what flies, is held above what is under it."""
        w, h = self._size(look)
        if kind != "under" or not (hosts[0].floats or hosts[0].look.name == "umbrella"):
            return
        for host in hosts:
            grown = max(1.0, total * w * 1.3 / host.w) if host.look.name == "umbrella" else 1.0
            host.w, host.h = host.w * grown, host.h * grown
            held = h - host.h * 0.5 if host.look.name == "umbrella" else h * 1.2
            host.y, host.floats = max(host.y, held), True
            host.depth -= 0.2

    def _attach(self, thing: int, kind: str, host: Sprite, index: int, count: int) -> Sprite:
        look = self.looks[thing]
        w, h = self._size(look)
        room = 1.0
        if kind == "on" and look.worn:
            return self._worn(thing, look, host, w, h)
        if kind == "in" and host.look.name not in CONTAINERS:
            kind = "front"
        if kind in {"on", "in"}:
            room = min(1.0, host.w * (0.8 if kind == "in" else 1.1) / (w * (1 + 1.1 * (count - 1))))
        elif kind == "under" and not host.floats:
            room = min(1.0, host.h * 0.5 / h)
        w, h = w * room, h * room
        spread = (index - (count - 1) / 2) * w * 1.12
        side = -1.0 if host.x > 0 else 1.0
        sprite = Sprite(thing, look, host.x + spread, host.y, w, h, host.depth + 0.1)
        match kind:
            case "on":
                sprite.y += host.h * host.look.seat - h * 0.02
                sprite.floats = True
            case "above":
                sprite.y += host.h + 0.16 * max(h, host.h)
                sprite.floats = True
            case "under":
                sprite.y = 0.0 if host.floats else sprite.y - host.h * 0.05
            case "behind":
                sprite.x += side * (host.w / 2 + w * (0.1 if h < host.h * 1.2 else -0.2))
                sprite.y, sprite.depth = sprite.y + host.h * 0.1, host.depth - 0.5
            case "front":
                sprite.x -= side * host.w * 0.22
                sprite.y, sprite.depth = sprite.y - host.h * 0.12, host.depth + 0.5
            case _:
                sprite.y, sprite.depth = host.y + host.h * 0.45, host.depth - 0.05
                sprite.floats = True
        return sprite

    def _worn(self, thing: int, look: Look, host: Sprite, w: float, h: float) -> Sprite:
        scale = host.w * (0.62 if host.look.mascot else 0.5) / w
        if host.look.habitat == "ground" and host.look.icon.startswith("fa:person"):
            scale = host.w * 0.7 / w
        across, down = host.look.head
        if self.mirrored[host.thing]:
            across = 1 - across
        x = host.x + (across - 0.5) * host.w
        y = host.y + host.h * (1 - down) - h * scale * 0.25
        return Sprite(thing, look, x, y, w * scale, h * scale, host.depth + 0.2, floats=True)

    # --- blocks in the image: x in image heights from the left, y in image heights from the bottom

    def _standing(self, roots: Sequence[int], with_air: bool) -> list[Sprite]:
        if not roots:
            return []
        tallest = 0.4 if with_air else 0.46 if self.ground == "table" else 0.58
        front = 1 - _FRONT[self.ground]
        ranks = [
            (nearness, self._best_fit(rank, tallest * (0.75 if nearness < 1 else 1.0), front))
            for nearness, rank in self._ranks(roots)
        ]
        scale = min(scale / nearness for nearness, (scale, _) in ranks) * self.rng.uniform(0.86, 1)
        sprites = []
        for nearness, (_, blocks) in ranks:
            foot = front if nearness == 1 else max(front + 0.1, 1 - _HORIZON[self.ground] - 0.04)
            sprites += self._row(blocks, scale * nearness, foot)
        return sprites

    def _ranks(self, roots: Sequence[int]) -> list[tuple[float, Sequence[int]]]:
        """Many unrelated things stand in two ranks, the large ones farther off: (how near, roots)."""
        ordered = any(relation.kind in {"left", "right", "next"} for relation in self.described.relations)
        if ordered or len(roots) < 4 or self.ground in {"deep", "space", "beach", "sea"}:
            return [(1.0, roots)]
        by_size = sorted(roots, key=lambda root: -self.looks[root].size)
        cut = sum(self.looks[root].size >= 1.5 for root in roots)
        if cut in {0, len(roots)}:
            if len(roots) < 6:
                return [(1.0, roots)]
            cut = len(roots) // 2
        far = [root for root in roots if root in by_size[:cut]]
        return [(0.85, far), (1.0, [root for root in roots if root not in far])]

    def _row(self, blocks: list[Block], scale: float, front: float) -> list[Sprite]:
        """Spread blocks over the width, their feet at about `front`."""
        gap = (self.aspect - scale * sum(block.width for block in blocks)) / (len(blocks) + 1)
        sprites, x = [], 0.0
        for block in blocks:
            wander = self.rng.uniform(-0.25, 0.25) * gap
            side = self.things[block.root].side
            if len(blocks) == 1 and side:
                wander = gap * (-0.7 if side == "left" else 0.7)
            nearer = self.rng.uniform(0, 0.04) if len(blocks) > 1 else 0.0
            floats = self.ground in {"deep", "space"}
            if self.ground == "beach" and home_of(self.things[block.root]) == "water":
                nearer = 0.26  # out on the water
            foot = (0.5 - block.height * scale / 2 if floats else front + nearer) - block.low * scale
            for sprite in block.sprites:
                sprites.append(self._scaled(sprite, x + gap + wander - block.left * scale, foot, scale, floats))
            x += gap + block.width * scale
        return sprites

    def _best_fit(self, roots: Sequence[int], tallest: float, front: float) -> tuple[float, list[Block]]:
        """The number of rows that lets everything be largest; a single row is worth a little smallness."""
        most = max(self.things[root].count for root in roots)
        choices = range(1, 6) if most > 3 or self.aspect < 0.7 else (1,)
        options = [self._fit([self._block(root, rows) for root in roots], tallest, front) for rows in choices]
        best = max(range(len(options)), key=lambda index: options[index][0] * 0.88**index)
        return options[best]

    def _fit(self, blocks: list[Block], tallest: float, front: float) -> tuple[float, list[Block]]:
        width = sum(block.width for block in blocks) + 0.12 * (len(blocks) - 1)
        scale = min(0.88 * self.aspect / width, 0.8)
        for block in blocks:
            single = block.height - block.rise
            rise = 0.54 - front if self.ground not in {"deep", "space"} else 1.0
            scale = min(scale, tallest / single, 0.74 / block.height, rise / max(block.rise, 1e-6))
        return scale, blocks

    def _airborne(self, roots: Sequence[int], with_ground: bool) -> list[Sprite]:
        """Scatter over the sky (over everything under water and in space)."""
        floating = self.ground in {"deep", "space"}
        blocks = [
            Block([Sprite(root, self.looks[root], 0, 0, *self._size(self.looks[root]))], root)
            for root in roots
            for _ in range(self.things[root].count)
        ]
        if not blocks:
            return []
        low, high = (0.12, 0.92) if floating else (0.52, 0.95) if with_ground else (0.3, 0.95)
        columns, rows = self._grid(len(blocks), self.aspect * 0.92, high - low, blocks)
        cell_w, cell_h = self.aspect * 0.92 / columns, (high - low) / rows
        scale = min(min(cell_w * 0.8 / block.width, cell_h * 0.8 / block.height, 0.42) for block in blocks)
        if with_ground:
            scale = min(scale, 0.2)
        cells = self.rng.permutation(columns * rows)[: len(blocks)] if len(blocks) > 1 else [0]
        sprites = []
        for block, cell in zip(blocks, cells, strict=True):
            row, column = divmod(int(cell), columns)
            slack_x, slack_y = cell_w - block.width * scale, cell_h - block.height * scale
            x = self.aspect * 0.04 + (column + 0.5) * cell_w + self.rng.uniform(-0.4, 0.4) * slack_x
            y = low + (row + 0.5) * cell_h - block.height * scale / 2 + self.rng.uniform(-0.4, 0.4) * slack_y
            sprites.append(self._scaled(block.sprites[0], x, y, scale, True))
        return sprites

    @staticmethod
    def _grid(count: int, width: float, height: float, blocks: list[Block]) -> tuple[int, int]:
        shape = max(block.width for block in blocks) / max(block.height for block in blocks)
        columns = min(range(1, count + 1), key=lambda c: -min(width / c / shape, height / ceil(count / c)))
        return columns, ceil(count / columns)

    @staticmethod
    def _scaled(sprite: Sprite, x: float, y: float, scale: float, floats: bool) -> Sprite:
        foot = y + sprite.y * scale
        return replace(
            sprite, x=x + sprite.x * scale, y=foot, w=sprite.w * scale, h=sprite.h * scale,
            depth=sprite.depth - y, floats=floats or sprite.floats,
        )  # fmt: skip

    # --- colours and directions

    def _figures(self, sprites: list[Sprite]) -> list[Figure]:
        palette = [PALETTE[index] for index in self.rng.permutation(len(PALETTE))]
        figures = []
        for index, sprite in enumerate(sprites):
            thing = self.things[sprite.thing]
            colour = thing.colours[0] if thing.colours else sprite.look.colour or palette[index % len(palette)]
            figures.append(
                Figure(
                    word=thing.word,
                    look=sprite.look,
                    thing=sprite.thing,
                    colour=colour,
                    accent=thing.colours[1] if len(thing.colours) > 1 else None,
                    x=sprite.x / self.aspect,
                    base=1 - sprite.y,
                    width=sprite.w / self.aspect,
                    height=sprite.h,
                    depth=sprite.depth,
                    mirrored=self.mirrored[sprite.thing],
                    floats=sprite.floats,
                )
            )
        return figures
