"""Reading a prompt: which things, how many, in which colours, how they stand to each other, and where.

English, with the commonest Chinese words and emoji (by their Unicode names). It reads words, not meaning: verbs and
moods are passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.image_generation.icons.looks import Colour, Look
from pipelines.image_generation.icons.tokens import singulars, tokens
from pipelines.image_generation.icons.words import (
    ARTICLES,
    BREAKS,
    CLOTHES,
    COLOURS,
    COUNTED,
    COUNTS,
    DARKER,
    LIGHTER,
    NOISE,
    NONE,
    RELATIONS,
    SCENERY,
    SENSES,
    SIDES,
)

MOST_THINGS = 12
MOST_OF_ONE = 10
_UNCHANGED = {"sheep", "fish", "deer", "people", "salmon", "tuna", "trout", "fries", "glasses", "scissors"}


class Lexicon(Protocol):
    """Where nouns are looked up."""

    def exact(self, noun: str) -> Look | None:
        """The look of a singular noun that has an icon."""

    def nearest(self, nouns: list[str]) -> list[Look | None]:
        """The nearest look in meaning for each noun."""


@dataclass
class Thing:
    """Something to draw `count` times.

    Attributes:
        word: as the prompt says it.
        look: how it is drawn; `None` until the nearest icon is found.
        count: 1 to `MOST_OF_ONE`.
        colours: stated ones, the main one first.
        side: "left" or "right" of the image, where stated.
        flying: in the air whatever it is.
    """

    word: str
    look: Look | None
    count: int = 1
    colours: list[Colour] = field(default_factory=list)
    side: str | None = None
    flying: bool = False


@dataclass(frozen=True)
class Relation:
    """`things[subject]` is left of, right of, above, on, under, next to, behind, in front of or in `things[object]`."""

    subject: int
    kind: str
    object: int


@dataclass
class Description:
    """What a prompt says.

    Attributes:
        things: at most `MOST_THINGS`.
        relations: between them.
        sky: day, night, sunset, dawn, cloudy, rain, storm; `None` where unsaid.
        sky_colour: stated colour of the sky.
        ground: grass, beach, sea, road, desert, snow, room, table, deep, space; `None` where unsaid.
        features: sun, moon, stars, clouds, rain, snow, bolt, fog, rainbow, aurora, hills, mountains, forest, city,
            autumn.
        colours: stated colours of features (a red sun).
        unknown: nouns for which there is no icon.
    """

    things: list[Thing] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    sky: str | None = None
    sky_colour: Colour | None = None
    ground: str | None = None
    features: set[str] = field(default_factory=set)
    colours: dict[str, Colour] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    @property
    def says_where(self) -> bool:
        """Whether scenery alone makes an image."""
        return bool(self.sky or self.sky_colour or self.ground or self.features)


def describe(prompt: str, lexicon: Lexicon) -> Description:
    """Read a prompt. Words that it does not know are looked up by meaning, in one call."""
    reader = _Reader(tokens(prompt), lexicon)
    reader.read()
    return reader.finish()


class _Reader:
    """One pass over the tokens. What is pending belongs to the noun that comes next."""

    def __init__(self, tokens: list[str], lexicon: Lexicon) -> None:
        self.tokens = tokens
        self.lexicon = lexicon
        self.found = Description()
        self.links: list[tuple[int, str, int]] = []
        self.context = set(tokens)
        self.relation: tuple[int, str] | None = None
        self.last: int | None = None
        self.fresh = True
        self.conjoined = ""
        self.joined: dict[int, tuple[int, str]] = {}
        self._clear()

    def _clear(self) -> None:
        self.count: int | None = None
        self.colours: list[Colour] = []
        self.negated = False
        self.article = False
        self.flying = False
        self.shade = ""
        self.strange: list[str] = []
        self.open: int | None = None  # the noun that just ended: another noun right behind makes a compound

    def read(self) -> None:
        position = 0
        while position < len(self.tokens):
            position += self._take(position)
        self._end_phrase()

    def _take(self, at: int) -> int:
        """Read the longest known phrase at a position; how many tokens it has."""
        for length in (5, 4, 3, 2, 1):
            words = self.tokens[at : at + length]
            if len(words) == length and self._phrase(" ".join(words), at, length):
                return length
        self._unknown(self.tokens[at])
        return 1

    def _phrase(self, phrase: str, at: int, length: int) -> bool:
        following = self.tokens[at + length] if at + length < len(self.tokens) else ""
        if phrase in SIDES and following != "of" and (length > 1 or not following):
            self._side(SIDES[phrase])
        elif phrase in RELATIONS:
            self._end_phrase()
            if self.last is not None:
                self.relation = (self.last, RELATIONS[phrase])
        elif phrase in SCENERY and not self._is_modifier(following) and not (self.count and phrase in COUNTED):
            self._scenery(phrase, SCENERY[phrase])
        elif length == 1 and self._is_small_word(phrase, following):
            pass
        elif found := self._noun(phrase):
            self._thing(phrase, *found)
        elif length == 1 and phrase in NOISE:
            self._break(phrase)
        else:
            return False
        return True

    def _break(self, word: str) -> None:
        if word == "of" and self.count:  # "a couple of penguins"
            return
        held = self.open
        if word in BREAKS:
            self._end_phrase()
        if word == "of" and held is not None:  # "a basket of apples": the apples are in the basket
            self.relation = (held, "holds")
        self.conjoined = word if word == "and" else ""

    def _is_modifier(self, following: str) -> bool:
        """Whether a scenery word only qualifies the noun behind it ("sea turtle", "night owl", "beach ball")."""
        return (
            bool(following)
            and following not in NOISE
            and following not in SCENERY
            and self._noun(following) is not None
        )

    def _is_small_word(self, word: str, following: str) -> bool:
        if not word[0].isalnum():
            self._end_phrase()
            self.relation = None
            self.fresh = True
            self.conjoined = word
        elif word in ARTICLES:
            negated = self.negated
            self._end_phrase()
            self.article, self.negated = True, negated
        elif word in NONE:
            self._end_phrase()
            self.negated = True
        elif word in COLOURS and not (word in {"orange", "lime", "peach", "olive"} and self._ends_phrase(following)):
            self._colour(COLOURS[word])
        elif word in LIGHTER or word in DARKER:
            self.shade = word
        elif word in {"flying", "flies", "fly"} and self._flies(following):
            pass
        elif word in COUNTS or (word[0].isdigit() and word.replace(".", "").isdigit()):
            self._counted(word)
        else:
            return False
        return True

    def _flies(self, following: str) -> bool:
        if self.last is not None and self.open is not None:
            self.found.things[self.last].flying = True
            return True
        self.flying = not self._ends_phrase(following)
        return self.flying

    def _ends_phrase(self, word: str) -> bool:
        return not word or not word[0].isalnum() or word in BREAKS or word in RELATIONS or word in ARTICLES

    def _counted(self, word: str) -> None:
        self.open = None
        number = COUNTS.get(word) if word in COUNTS else int(float(word[:12]))
        if number == 0:
            self.negated = True
        elif word in {"hundred", "thousand", "dozen"} and self.count:
            self.count *= number or 1
        else:
            self.count = number

    def _colour(self, colour: Colour) -> None:
        mix, toward = (0.45, 255) if self.shade in LIGHTER else (0.4, 0) if self.shade in DARKER else (0.0, 0)
        self.shade = ""
        red, green, blue = (round(value + (toward - value) * mix) for value in colour)
        self.colours.append((red, green, blue))
        self.open = None

    def _side(self, side: str) -> None:
        self._end_phrase()
        if self.last is not None and self.found.things[self.last].side is None and not self.fresh:
            self.found.things[self.last].side = side
        else:
            self.side_of_next = side

    side_of_next: str | None = None

    def _noun(self, phrase: str) -> tuple[Look, bool] | None:
        """The look that a phrase names, and whether it is plural."""
        *front, word = phrase.split()
        if len(front) > 2 or (not front and (word in NOISE or word in CLOTHES)):
            return None
        for singular, plural in singulars(word):
            noun = " ".join([*front, singular])
            for context, other in SENSES.get(noun, []):
                if context & self.context:
                    noun = other
            if look := self.lexicon.exact(noun):
                return look, plural
        return None

    def _thing(self, phrase: str, look: Look, plural: bool) -> None:
        if self.open is not None and not self.strange:  # "coffee table": the last noun is the thing
            thing = self.found.things[self.open]
            thing.word, thing.look = f"{thing.word} {phrase}", look
            thing.count = self._number(plural, phrase) if thing.count == 1 else thing.count
            return
        self._add(phrase, look, plural)

    def _add(self, phrase: str, look: Look | None, plural: bool) -> None:
        if self.negated or len(self.found.things) == MOST_THINGS:
            self._clear()
            return
        thing = Thing(phrase, look, self._number(plural, phrase), self.colours, self.side_of_next, self.flying)
        self.side_of_next = None
        self.found.things.append(thing)
        index = len(self.found.things) - 1
        if self.relation:
            subject, kind = self.relation
            self.links.append((subject, kind, index))
            if kind in {"on", "under", "in"}:
                self.links += [(other, kind, index) for other in self._fellows(subject)]
            if self.relation[1] != "between":
                self.relation = None
        elif self.conjoined and self.last is not None:
            self.joined[index] = (self.last, self.conjoined)
        self.conjoined = ""
        self._clear()
        self.last = self.open = index
        self.fresh = False

    def _fellows(self, thing: int) -> Iterator[int]:
        """What shares a thing's place: "a book, a cup and a plate on a table"."""
        other, link = self.joined.get(thing, (thing, ""))
        if link == "and":
            yield other
            while self.joined.get(other, (0, ""))[1] == ",":
                other = self.joined[other][0]
                yield other

    def _number(self, plural: bool, word: str) -> int:
        count = self.count
        if count is not None and count > 99 and not plural and word not in _UNCHANGED:
            count = None  # "a 1950 car" is not that many
        if count is None:
            count = 3 if plural and word not in _UNCHANGED and word != "people" else 1
        return max(1, min(MOST_OF_ONE, count))

    def _scenery(self, phrase: str, effects: str) -> None:
        for effect in effects.split() if not self.negated else []:
            kind, _, value = effect.partition("=")
            if kind == "sky":
                self.found.sky = value or self.found.sky
                if self.colours:
                    self.found.sky_colour = self.colours[0]
                elif not value and self.found.sky is None:
                    self.found.sky = "day"
            elif kind == "ground":
                self.found.ground = self.found.ground or value
            else:
                self.found.features.add(kind)
                if self.colours:
                    self.found.colours[kind] = self.colours[0]
        if self.relation and self.relation[1] != "between":
            self.relation = None
        self._clear()

    def _unknown(self, word: str) -> None:
        if word in CLOTHES and self.last is not None:
            self.found.things[self.last].colours = self.found.things[self.last].colours or self.colours
            self._clear()
            self.relation = None
        elif self.open is None and not (word.endswith("ing") and not self.article):
            self.strange.append(word)
        else:  # behind a noun comes its verb
            self.open = None
            self._clear()

    def _end_phrase(self) -> None:
        """A noun phrase is over: what it named without an icon of that name is looked up later."""
        if self.strange and (self.article or self.count or self.colours or self.relation):
            self._add(" ".join(self.strange[-2:]), None, self.strange[-1].endswith("s"))
        elif self.colours and self.last is not None and not self.found.things[self.last].colours:
            self.found.things[self.last].colours = self.colours  # "a car painted blue"
        keep = self.colours if self.open is None and not self.strange else []
        self._clear()
        self.colours = keep if keep and self.last is None else []

    def finish(self) -> Description:
        """Look up the nouns that have no icon, and drop those that have no near one."""
        found = self.found
        asked = [(thing, [thing.word, thing.word.split()[-1]]) for thing in found.things if thing.look is None]
        answers = iter(self.lexicon.nearest([word for _, words in asked for word in words]))
        for thing, _ in asked:
            whole, head = next(answers), next(answers)
            thing.look = whole or head
        kept = [index for index, thing in enumerate(found.things) if thing.look is not None]
        found.unknown = [thing.word for thing in found.things if thing.look is None]
        place = {index: new for new, index in enumerate(kept)}
        found.things = [found.things[index] for index in kept]
        found.relations = list(self._relations(place))
        return found

    def _relations(self, place: dict[int, int]) -> Iterator[Relation]:
        between: dict[int, list[int]] = {}
        for subject, kind, other in self.links:
            if subject in place and other in place and subject != other:
                if kind == "between":
                    between.setdefault(place[subject], []).append(place[other])
                elif kind == "holds" or (
                    kind == "wear" and (look := self.found.things[place[other]].look) and look.worn
                ):
                    yield Relation(place[other], "in" if kind == "holds" else "on", place[subject])
                else:
                    yield Relation(place[subject], kind.replace("wear", "next"), place[other])
        for subject, others in between.items():
            for other, kind in zip(others, ("right", "left"), strict=False):
                yield Relation(subject, kind, other)
