"""A question that leans on the turn before it, made to stand alone.

Rules, not understanding: "and in 2023?" takes over the earlier question with the year exchanged, "what about the
controller?" exchanges the words of the earlier question that are most like it, and a pronoun is replaced by what the
earlier question was about. What fits no rule is left as it was asked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.chat.base import Message
from pipelines.chat.extractive.question import years
from pipelines.chat.extractive.words import HAN, is_chinese, terms
from pipelines.contracts.engine import Embed

_TURNS = 6
_QUESTION_CHARACTERS = 2_000

_LEAD = re.compile(
    r"^(?:(?:and|but|so|or|also|then|ok(?:ay)?|what about|how about|(?:and )?the same for)\b[\s,]*)+", re.IGNORECASE
)
_ASKING = re.compile(
    r"\b(?:what|which|who|whom|whose|when|where|why|how(?: (?:many|much|long|often|far|old|large|heavy))?)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"^(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|can|could|may|must|should|has|have|"
    r"will|tell|list|give|explain|show|describe)\b(?! about)",
    re.IGNORECASE,
)
_FUNCTION = frozenset(
    """a an and are as at be been by can could did do does during for from had has have how i in into is it its many may
    me much must my of on one or our per shall should than that the their there these they this those to under was we
    were what when where which who whom whose why will with would you your about after before between""".split()  # noqa: SIM905
)
_PREPOSITIONS = frozenset(
    {
        "in",
        "at",
        "on",
        "for",
        "of",
        "from",
        "to",
        "by",
        "with",
        "under",
        "during",
        "between",
        "before",
        "after",
        "since",
    }
)
_DETERMINERS = frozenset({"the", "a", "an", "our", "my", "your", "their", "its", "this", "that", "these", "those"})
_PRONOUN = re.compile(
    r"\b(?:it|its|they|them|their|he|him|his|she|her|(?:this|that)(?= one\b|\W*$)|(?:these|those|there)(?=\W*$))\b",
    re.IGNORECASE,
)
_EXPLETIVE = re.compile(
    r"\b(?:does|did|will|would) it take\b|\bis there\b"
    r"|\b(?:is|was|isn't) it (?:possible|allowed|safe|necessary|ok|okay|true|permitted|required)\b",
    re.IGNORECASE,
)
_POSSESSIVE = frozenset({"its", "their", "his", "her"})
_PERSONAL = frozenset({"he", "him", "his", "she", "her"})
_PERSON = re.compile(r"\b[A-Z][\w'’-]+(?: (?:van|von|de|der|da|bin|al) | )[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)?")

_NAMED = re.compile(r"\b(?=\w*[A-Z\d])[\w-]+")

_HAN_LEAD = re.compile("^(?:那么|那|还有|另外|以及|然后|而|再问一下|请问)?[，,、]?")
_HAN_TAIL = re.compile(r"(?:又?呢|如何|怎么样|怎样)?[？?。！!\s]*$")
_HAN_ASKING = re.compile(
    "多少|多久|多长|多大|多高|多远|什么|谁|哪|几|何时|何处|为何|如何|怎么|怎样|是否|能否|可否|吗|[有是能可要需][不没]"
)
_HAN_PRONOUN = re.compile(
    "它们|他们|她们|它|(?<!其)他(?!人)|她|(?:这个|那个|这|那)(?=[的有是要需])|(?<![极及尤])其(?![他它余中实])"
)
_HAN_CHUNK = re.compile(rf"[{HAN}A-Za-z\d]+?(?=[的有是在要为可能应需每一多几什哪谁何怎如由向从]|[^{HAN}A-Za-z\d]|$)")


@dataclass(frozen=True)
class _Chunk:
    """A run of content words: its place in the text, and the preposition and determiner before it."""

    text: str
    start: int
    end: int
    preposition: str
    determined: bool


def stand_alone(messages: Sequence[Message], embed: Embed) -> str:
    """The last question of the conversation with what the turns before it say, or "" where nobody asked anything."""
    standing = ""
    reply = ""
    asked = [index for index, message in enumerate(messages) if message.role == "user"][-_TURNS:]
    for message in messages[asked[0] :] if asked else ():
        if message.role == "user":
            said = " ".join(message.content[-_QUESTION_CHARACTERS:].split())
            standing = _resolve(standing, reply, said, embed) if said else standing
        elif message.role == "assistant":
            reply = message.content[:_QUESTION_CHARACTERS]
    return standing


def _resolve(previous: str, reply: str, said: str, embed: Embed) -> str:
    if not previous:
        return said
    if is_chinese(said):
        return _resolve_chinese(previous, said)
    rest = _LEAD.sub("", said).strip() or said
    if _CLAUSE.match(rest) and (terms(rest) or len(rest.split()) > 3):
        return _replace_pronoun(previous, reply, rest)
    if rest != said or _is_fragment(rest):
        return _exchange(previous, rest.rstrip("?!. "), embed)
    return _replace_pronoun(previous, reply, said)


def _is_fragment(text: str) -> bool:
    return text.endswith("?") and len(text.split()) <= 4


def _exchange(previous: str, rest: str, embed: Embed) -> str:
    """The earlier question with its year, its question word or its most similar words exchanged for `rest`."""
    standing = previous
    old, new = sorted(years(previous)), sorted(years(rest))
    if old and new:
        standing = standing.replace(old[-1], new[-1])
        rest = rest.replace(new[-1], "")
    elif new and not terms(rest.replace(new[-1], "")):
        return f"{previous.rstrip('?!. ')} {rest}?"
    if _ASKING.search(rest) and not _chunks(rest):
        return _ASKING.sub(rest, standing, count=1)
    is_adjective = re.search(r"\bones?$", rest) is not None  # "the red one": its noun stays
    for chunk in _chunks(rest):
        candidates = _words(standing) if is_adjective else _chunks(standing)
        if not candidates:
            return f"{standing} {rest}"
        start, end = _most_alike(chunk, candidates, embed)
        standing = standing[:start] + chunk.text + standing[end:]
    return standing


def _most_alike(chunk: _Chunk, candidates: list[_Chunk], embed: Embed) -> tuple[int, int]:
    """The span of the candidate that is most like the chunk; up to the noun where they share it ("the red lamp")."""
    similarity_range = embed([chunk.text, *(one.text for one in candidates)])
    scores = similarity_range[1:] @ similarity_range[0]
    for index, one in enumerate(candidates):
        if chunk.preposition and chunk.preposition == one.preposition:
            scores[index] += 0.2
    best = candidates[int(scores.argmax())]
    noun = re.search(rf"\b{re.escape(chunk.text.split()[-1])}\b", best.text, re.IGNORECASE)
    return best.start, best.start + noun.end() if noun else best.end


def _words(text: str) -> list[_Chunk]:
    return [
        _Chunk(word.group(), chunk.start + word.start(), chunk.start + word.end(), "", False)
        for chunk in _chunks(text)
        for word in re.finditer(r"\S+", chunk.text)
    ]


def _chunks(text: str) -> list[_Chunk]:
    chunks: list[_Chunk] = []
    preposition, determined, following = "", False, False
    for match in re.finditer(r"[\w$%€£][\w.,'’%-]*(?<![.,])", text):
        word = match.group().lower()
        if word in _FUNCTION or word in _PREPOSITIONS:
            preposition = word if word in _PREPOSITIONS else preposition if word in _DETERMINERS else ""
            determined, following = word in _DETERMINERS, False
            continue
        if following and text[chunks[-1].end : match.start()].strip() == "":
            last = chunks[-1]
            chunks[-1] = _Chunk(
                text[last.start : match.end()], last.start, match.end(), last.preposition, last.determined
            )
        else:
            chunks.append(_Chunk(match.group(), match.start(), match.end(), preposition, determined))
        preposition, determined, following = "", False, True
    return chunks


def _replace_pronoun(previous: str, reply: str, said: str) -> str:
    match = None if _EXPLETIVE.search(said) else _PRONOUN.search(said)
    if match is None:
        return said
    before = _chunks(said[: match.start()])
    leading = said[: match.start()]
    is_object = re.search(r"(\w+) $", leading) is not None and leading.split()[-1].lower() in _PREPOSITIONS
    if any(chunk.determined for chunk in before) and ("," in leading or not is_object):
        return said  # it stands for something in this very question
    word = match.group().lower()
    subject = _antecedent(previous, reply, word)
    if not subject:
        return said
    return said[: match.start()] + subject + ("'s" if word in _POSSESSIVE else "") + said[match.end() :]


def _antecedent(previous: str, reply: str, pronoun: str) -> str:
    if pronoun in _PERSONAL:
        people = _PERSON.findall(_ASKING.sub("", previous)) or _PERSON.findall(reply)
        if people:
            return str(people[0])
    chunks = _chunks(previous)
    places = [chunk for chunk in chunks if chunk.preposition in {"in", "at", "on"}]
    others = [chunk for chunk in chunks if chunk not in places] or chunks
    chunks = places if pronoun == "there" else others
    named = [chunk for chunk in chunks if _NAMED.search(chunk.text)]
    best = (named or [chunk for chunk in chunks if chunk.determined] or chunks)[-1:]
    if not best:
        return ""
    name = " ".join(_NAMED.findall(best[0].text)) or best[0].text
    preposition = [best[0].preposition] if pronoun == "there" else []
    return " ".join([*preposition, *(["the"] if best[0].determined else []), name])


def _resolve_chinese(previous: str, said: str) -> str:
    rest = _HAN_TAIL.sub("", _HAN_LEAD.sub("", said))
    if _HAN_ASKING.search(rest):
        topic = _topic(previous)
        if not terms(rest):
            return topic + rest
        return _HAN_PRONOUN.sub(topic, rest, count=1) if topic and _HAN_PRONOUN.search(rest) else said
    if not rest or (rest == said.rstrip("？?。！! ") and not said.endswith(("?", "？"))):
        return said
    old, new = sorted(years(previous)), sorted(years(rest))
    if old and new:
        previous, rest = previous.replace(old[-1], new[-1]), re.sub(f"{new[-1]}年?[的度]?", "", rest)
    if not rest:
        return previous
    chunks = [match for match in _HAN_CHUNK.finditer(previous) if terms(match.group()) and not years(match.group())]
    if not chunks:
        return previous + rest
    best = max(chunks, key=lambda match: len(set(match.group()) & set(rest)))
    return previous[: best.start()] + rest + previous[best.end() :]


def _topic(text: str) -> str:
    """What a Chinese question is about: its first words that carry meaning."""
    return next((match.group() for match in _HAN_CHUNK.finditer(_HAN_LEAD.sub("", text)) if terms(match.group())), "")
