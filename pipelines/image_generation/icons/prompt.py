"""Reading a prompt: which things, how many, in which colors, how they stand to each other, and where.

English, the commonest Chinese words, and emoji by their Unicode names; `vocabulary.txt` lists the words. Verbs, moods
and styles are skipped.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import NamedTuple

Color = tuple[int, ...]
MAX_THINGS, MAX_COUNT = 12, 10
NEUTRAL = "fa:shapes"  # the icon of a noun that has none

_PHRASE = re.compile(r"[rdpjoe]|([an]*(?:[qcu]|b(?=[bcqtu])|s(?=t)|(?<=q)o|(?<=c)j(?=c))*)(t+|[bsi]?)u*")
"""What a sentence, written as the initials of its words' kinds, is made of: noun phrases and what links them."""


@dataclass(frozen=True)
class Look:
    """How a thing is drawn; `vocabulary.txt` explains it. A mark is its kind, its numbers and its color."""

    icon: str
    habitat: str = "ground"
    size: float = 1.0
    color: Color | None = None
    marks: tuple[tuple[str, tuple[float, ...], Color | None], ...] = ()

    @property
    def traits(self) -> dict[str, tuple[float, ...]]:
        """The numbers of the marks by kind."""
        return {kind: numbers for kind, numbers, _ in self.marks}


@dataclass
class Thing:
    """Something to draw `count` times; `side` is "left", "right" or empty."""

    look: Look
    count: int
    color: Color | None
    side: str


class Relation(NamedTuple):
    """`things[subject]` is left of, right of, above, on, under, next to, behind, in front of or in `things[object]`."""

    subject: int
    kind: str
    object: int


@dataclass
class Description:
    """What a prompt says; what it leaves open is empty."""

    things: list[Thing] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    sky: str = ""
    sky_color: Color | None = None
    ground: str = ""
    features: set[str] = field(default_factory=set)


class _Word(NamedTuple):
    """A phrase of the vocabulary or another word; "both" is the kind of what is a color and a thing."""

    text: str
    kind: str
    meaning: str = ""


def rgb(text: str) -> Color:
    """ "#rrggbb" as numbers."""
    return tuple(bytes.fromhex(text.removeprefix("#")))


@cache
def vocabulary() -> dict[str, dict[str, str]]:
    """By kind, the words that `vocabulary.txt` lists, with their meanings."""
    kinds: dict[str, dict[str, str]] = {}
    lines = files(__package__).joinpath("vocabulary.txt").read_text("utf-8").splitlines()
    for words, _, rest in (line.partition(" = ") for line in lines if not line.startswith("#")):
        kind, _, meaning = rest.partition(" ")
        icon = ""
        for word, _, own in (text.partition("@") for text in words.split()):
            icon = own or icon
            kinds.setdefault(kind, {})[word.replace("_", " ")] = f"{icon} {meaning}".strip()
    return kinds


@cache
def known_look(noun: str) -> Look | None:
    """How a noun of the vocabulary is drawn."""
    if noun not in vocabulary()["thing"]:
        return None
    main, *rest = vocabulary()["thing"][noun].split(";")
    icon, habitat, size, color = main.split()
    marks = []
    for kind, *values in (text.split() for text in rest):
        stated = rgb(values.pop()) if values and values[-1].startswith("#") else None
        marks.append((kind, tuple(float(value) for value in values), stated))
    return Look(icon, habitat, float(size), None if color == "*" else rgb(color), tuple(marks))


def _words(prompt: str) -> Iterator[_Word]:
    """The prompt as the longest phrases that the vocabulary knows, and other words; other Chinese is skipped."""

    def emoji(run: re.Match[str]) -> str:
        name = re.sub("FACE|HEAD|BUILDING", "", unicodedata.name(run[1], ""))
        return f" , {len(run[0])} {name} , " if unicodedata.category(run[1]) == "So" else run[0]

    text = re.sub(r"([^\w\s])\1*", emoji, unicodedata.normalize("NFKC", prompt).replace("\n", ".")).lower()
    text = re.sub(rf"在([^,.。、在]{{1,12}}?)的?({'|'.join(vocabulary()['relation'])})", r" \2 \1 ", text)
    text = re.sub(r"['’]s\b", "", text)
    phrases = sorted({phrase for words in vocabulary().values() for phrase in words}, key=len, reverse=True)
    known = [re.escape(phrase) + (r"(?:e?s)?(?![a-z\d])" if "a" <= phrase[0] <= "z" else "") for phrase in phrases]
    for phrase in re.findall("|".join([*known, r"\d*[a-z]+\d*", r"\d+"]), text):
        kinds = [kind for kind, words in vocabulary().items() if phrase in words and kind != "thing"]
        if phrase.isdigit():
            yield _Word(phrase, "quantity", phrase)
        elif kinds:
            kind = "both" if kinds[0] == "color" and _noun(phrase) else kinds[0]
            yield _Word(phrase, kind, vocabulary()[kinds[0]][phrase])
        else:
            yield _Word(phrase, "thing" if _noun(phrase) else "unknown")


def _noun(text: str) -> tuple[Look, bool] | None:
    """How a noun of the vocabulary is drawn, and whether it is in the plural."""
    return next(((look, plural) for noun, plural in _singulars(text) if (look := known_look(noun))), None)


def _singulars(text: str) -> Iterator[tuple[str, bool]]:
    """What a noun may be the singular (False) or plural (True) of."""
    yield text, False
    for ending, instead in (("men", "man"), ("ves", "f"), ("ies", "y"), ("es", ""), ("s", "")):
        if text.endswith(ending) and len(text) > len(ending) + 1 and not text.endswith("ss"):
            yield text.removesuffix(ending) + instead, True


class Reader:
    """One pass over a prompt; `has_icon` knows the icons, for nouns that the vocabulary lacks."""

    def __init__(self, has_icon: Callable[[str], bool]) -> None:
        self.has_icon = has_icon
        self.found = Description()
        self.listed: list[int] = []  # the list that the latest thing ends: "a cup, a plate and a book"
        self.relation: tuple[int, str] | None = None  # of that thing to the next
        self.side = ""  # of the next thing
        self.link = "end"  # what stands before the next phrase; nothing behind another

    def read(self, prompt: str) -> Description:
        """What a prompt says."""
        words = list(_words(prompt))
        for match in _PHRASE.finditer("".join(word.kind[0] for word in words)):
            if match[1] is None:
                self._take_link(words[match.start()])
            elif match[0]:
                self._take_phrase(words[match.start() : match.end(2)], match[2][:1])
        return self.found

    def _take_link(self, word: _Word) -> None:
        things = self.found.things
        behind = things[-1] if things and not self.link else None
        if word.kind == "relation":
            self.relation = (len(things) - 1, word.meaning) if things else None
        elif word.kind == "direction":
            (behind or self).side = word.meaning
        elif word.kind == "of" and behind and "holds" in behind.look.traits:  # "a basket of apples"
            self.relation = (len(things) - 1, "holds")
        elif word.meaning in {"end", ","}:
            self.relation = None
        self.link = word.meaning

    def _take_phrase(self, words: list[_Word], head: str) -> None:
        """Take a noun phrase that ends in a thing ("t", "b"), scenery ("s"), an ignored ("i") or an unknown word."""
        kinds = {word.kind for word in words}
        front = words[:-1] if head in {"b", "s"} else words
        color = next((rgb(word.meaning) for word in front if word.kind in {"color", "both"}), None)
        counts = [int(word.meaning[:9]) for word in words if word.kind == "quantity"]
        noun = _noun(words[-1].text) if head in {"t", "b"} or (head == "s" and counts) else None
        unknown = [word.text for word in words if word.kind == "unknown" and not word.text.endswith("ing")]
        adds = self.found.things and self.link in {"of", "with"}  # "a dog with a happy grin"
        if not head and unknown and kinds & {"article", "quantity", "color"} and not adds:
            icons = ((f"{font}:{noun}", plural) for noun, plural in _singulars(unknown[-1]) for font in ("mdi", "fa"))
            icon, plural = next((each for each in icons if self.has_icon(each[0])), (NEUTRAL, unknown[-1][-1] == "s"))
            noun = Look(icon), plural
        if "negation" in kinds or 0 in counts:
            pass
        elif noun:
            self._add(*noun, color, counts)
        elif head == "s":
            self._add_scenery(words[-1].meaning, color)
        elif color and self.found.things:  # "a car that is blue", "a woman in a red dress"
            self.found.things[-1].color = self.found.things[-1].color or color
        self.relation = None if head in {"s", "i"} else self.relation
        self.link = ""

    def _add(self, look: Look, plural: bool, color: Color | None, counts: list[int]) -> None:
        if len(self.found.things) == MAX_THINGS:
            return
        count = max(counts, default=3 if plural else 1)
        count = min(count, MAX_COUNT) if count < 100 or plural else 1  # "a 1950 car"
        index = len(self.found.things)
        self.found.things.append(Thing(look, count, color, self.side))
        subjects, self.listed = self.listed, [index]
        if self.relation:
            self._relate(subjects, *self.relation, index)
        elif self.link in {"and", ","}:
            self.listed = [*subjects, index]
        self.side = ""

    def _relate(self, subjects: list[int], subject: int, kind: str, index: int) -> None:
        """Note how a thing, or the list that it ends, stands to the one at `index`."""
        self.relation = (subject, "left") if kind == "between" else None
        if kind in {"wear", "holds"}:
            related = [Relation(index, "on" if kind == "wear" else "in", subject)]
        elif kind in {"on", "under", "in"} and subject in subjects:
            related = [Relation(each, kind, index) for each in subjects]
        else:
            related = [Relation(subject, kind.replace("between", "right"), index)]
        self.found.relations += related

    def _add_scenery(self, effects: str, color: Color | None) -> None:
        for effect in effects.split():
            kind, _, value = effect.partition("=")
            if kind == "sky":
                self.found.sky = value or self.found.sky or "day"
                self.found.sky_color = color or self.found.sky_color
            elif kind == "ground":
                self.found.ground = self.found.ground or value
            else:
                self.found.features.add(kind)
