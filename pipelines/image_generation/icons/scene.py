"""An image before it is painted, and where its things are at home."""

from dataclasses import dataclass

from pipelines.image_generation.icons.looks import LAND, Colour, Look
from pipelines.image_generation.icons.prompt import Description, Thing

_WADERS = {"duck", "bridge"}


@dataclass(frozen=True)
class Figure:
    """One drawn icon.

    Attributes:
        word: the prompt's word for it.
        look: how it is drawn; `look.icon` is the icon.
        thing: which of the prompt's things it is, from 0.
        colour: main colour, RGB.
        accent: stated second colour.
        x: centre, as a fraction of the image's width.
        base: foot, as a fraction of the image's height from the top.
        width: fraction of the image's width.
        height: fraction of the image's height.
        depth: larger is nearer; figures are painted in this order.
        mirrored: left and right exchanged.
        floats: does not touch the ground.
    """

    word: str
    look: Look
    thing: int
    colour: Colour
    accent: Colour | None
    x: float
    base: float
    width: float
    height: float
    depth: float
    mirrored: bool
    floats: bool

    @property
    def top(self) -> float:
        """Upper edge, as a fraction of the image's height."""
        return self.base - self.height


@dataclass(frozen=True)
class Scene:
    """An image before it is painted.

    Attributes:
        figures: far ones first.
        sky: day, night, sunset, dawn, cloudy, rain or storm.
        sky_colour: stated colour of the sky.
        ground: grass, beach, sea, road, desert, snow, room, table, deep or space.
        horizon: fraction of the height from the top.
        features: sun, moon, stars, clouds, rain, snow, bolt, fog, rainbow, aurora, hills, mountains, forest, city,
            autumn.
        colours: stated colours of features.
        unknown: nouns of the prompt that are not drawn, for want of an icon.
        seed: of the painter's own choices.
    """

    figures: tuple[Figure, ...]
    sky: str
    sky_colour: Colour | None
    ground: str
    horizon: float
    features: frozenset[str]
    colours: dict[str, Colour]
    unknown: tuple[str, ...]
    seed: int


def ground_of(described: Description) -> str:
    """The stated ground, or the one on which the things are at home."""
    homes = {home_of(thing) for thing in described.things} - {"air"}
    if described.ground == "sea" and homes & LAND and not _wade(described):
        return "beach"  # what lives on land stands on the shore
    if described.ground:
        return described.ground
    outdoors = bool(described.sky or described.sky_colour or described.features - {"stars", "moon"})
    indoors = "" if outdoors else _skyless(described, homes)
    land = homes & LAND
    if indoors:
        return indoors
    if "water" in homes or homes == {"deep"}:
        return "beach" if land else "sea"
    return next(iter(land)) if len(land) == 1 and land != {"ground"} else "grass"


def _wade(described: Description) -> bool:
    return any(look_of(thing).name in _WADERS for thing in described.things)


def _skyless(described: Description, homes: set[str]) -> str:
    """The place without a sky where the things are at home, if there is one."""
    if len(homes) == 1 and homes <= {"deep", "space", "table"}:
        return next(iter(homes))
    if homes == {"table", "deep"}:
        return "table"
    return "room" if "room" in homes and all(look_of(thing).size < 1.8 for thing in described.things) else ""


def home_of(thing: Thing) -> str:
    """The habitat of a thing; what flies lives in the air."""
    return "air" if thing.flying else look_of(thing).habitat


def look_of(thing: Thing) -> Look:
    """The look of a thing that has one."""
    if thing.look is None:
        raise ValueError(f"{thing.word} has no look")
    return thing.look
