"""What known things look like: the table `looks.txt`, read into `Look`s."""

from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

Habitat = Literal["ground", "road", "snow", "desert", "air", "water", "deep", "space", "table", "room"]
Colour = tuple[int, int, int]
LAND = {"ground", "road", "snow", "desert"}


@dataclass(frozen=True)
class Part:
    """A region of an icon with a colour of its own, in fractions of the icon's box.

    Attributes:
        shape: "box" and "disc" recolour what is drawn, "hole" what is open; "back" fills what is behind;
            "oval" adds to the icon, and may reach beyond its box.
        area: x0, y0, x1, y1 of a box, hole or back; x, y, rx, ry of a disc or oval.
        colour: RGB, or "skin" for one that the seed picks per figure.
    """

    shape: Literal["box", "disc", "hole", "back", "oval"]
    area: tuple[float, float, float, float]
    colour: Colour | Literal["skin"]


@dataclass(frozen=True)
class Look:
    """How one thing is drawn.

    Attributes:
        name: the noun that the scene reports.
        icon: "font:name".
        habitat: where it stands when the prompt does not say.
        size: longer side; a grown person is 1.4.
        colour: natural colour; `None` leaves it to the seed.
        hole: colour of enclosed openings; `None` a darker shade of the colour, "open" lets the background through.
        gap: colour of narrow slits; `None` a darker shade of the colour.
        parts: regions with colours of their own.
        mane: colour of a ring behind the head.
        mascot: the icon is a head that gets a body.
        still: never mirrored.
        worn: sits on a head.
        seat: height at which others sit on it, as a fraction from the foot.
        head: where a hat goes, as fractions from the left and the top.
    """

    name: str
    icon: str
    habitat: Habitat
    size: float
    colour: Colour | None = None
    hole: Colour | Literal["open"] | None = None
    gap: Colour | None = None
    parts: tuple[Part, ...] = ()
    mane: Colour | None = None
    mascot: bool = False
    still: bool = False
    worn: bool = False
    seat: float = 1.0
    head: tuple[float, float] = (0.5, 0.05)


def rgb(text: str) -> Colour:
    """ "#rrggbb" as numbers."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


@cache
def known_looks() -> dict[str, Look]:
    """Every noun of the table and its look; nouns of two words hold a space."""
    table: dict[str, Look] = {}
    for line in files(__package__).joinpath("looks.txt").read_text("utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            names, *columns = line.split("|")
            nouns = [name.replace("_", " ") for name in names.split()]
            look = _look(nouns[0], *(column.strip() for column in columns))
            table.update(dict.fromkeys(nouns, look))
    return table


def _look(name: str, *columns: str) -> Look:
    icon, habitat, size, colour, hole, parts = columns
    where = next(each for each in get_args(Habitat) if each == habitat)
    look = Look(name, icon, where, float(size), colour=None if colour == "*" else rgb(colour))
    if hole != "~":
        look = replace(look, hole="open" if hole == "-" else rgb(hole))
    for part in filter(None, (text.split() for text in parts.split(";"))):
        look = _with_part(look, *part)
    return look


def _with_part(look: Look, kind: str, *rest: str) -> Look:
    match kind:
        case "box" | "disc" | "hole" | "back" | "oval":
            x0, y0, x1, y1 = (float(number) for number in rest[:4])
            part = Part(kind, (x0, y0, x1, y1), "skin" if rest[4] == "skin" else rgb(rest[4]))
            look = replace(look, parts=(*look.parts, part))
        case "gap":
            look = replace(look, gap=rgb(rest[0]))
        case "mane":
            look = replace(look, mane=rgb(rest[0]))
        case "seat":
            look = replace(look, seat=float(rest[0]))
        case "head":
            look = replace(look, head=(float(rest[0]), float(rest[1])))
        case "mascot":
            look = replace(look, mascot=True)
        case "still":
            look = replace(look, still=True)
        case "worn":
            look = replace(look, worn=True)
        case _:
            raise ValueError(f"{look.name}: no part is called {kind}")
    return look
