"""Rewrites a follow-up question into one that stands alone.

Rules, not understanding, for English and Chinese: "and in 2023?" takes over the earlier question with the year
exchanged, "what about the controller?" exchanges the words of the earlier question that are most like it, and a pronoun
is replaced by what the earlier question was about. What fits no rule is left as it was asked.
"""

from collections.abc import Sequence

import regex

from pipelines.chat.base import Message
from pipelines.chat.extractive.question import is_chinese, years
from pipelines.contracts.engine import Embed
from pipelines.text.scripts import HAN
from pipelines.text.terms import GRADABLE, STOP_WORDS, UNSPACED_STOP_WORDS, query_terms

_MAX_TURNS, _MAX_CHARACTERS = 6, 2_000
_MAX_FRAGMENT_WORDS = 4

_LEAD = regex.compile(
    r"(?i)^(?:(?:and|but|so|or|also|then|ok(?:ay)?|(?:what|how) about|the same for)\b[\s,]*)+"
    "|^(?:那么?|还有|另外|以及|然后|而|请问)[，,、]?"
)
_TAIL = regex.compile(r"(?:又?呢|如何|怎么?样)?[?!.？！。\s]*$")
_ASKING = r"(?i:\b(?:wh(?:at|ich|o|om|ose|en|ere|y)|how(?: (?:many|much|long|often|far|old|large|heavy))?)\b)"
_CLAUSE = regex.compile(
    rf"(?i)^(?:{_ASKING}|(?:is|are|was|were|do|does|did|can|could|may|must|should|ha[sd]|have|will|tell|list|give|explain|"
    rf"show|describe)\b)|多[少{GRADABLE}]|什么|啥|谁|哪|几|[何为如]何|何[时处]|[怎咋][么样]?|[是能可]否|吗|[有是能可要需][不没]"
)
_PRONOUN = regex.compile(
    r"(?i)\b(?:it|its|they|them|their|he|him|his|she|her|(?:this|that)(?= one\b|\W*$)|(?:these|those)(?=\W*$))\b"
    "|[它他她]们|它|(?<!其)他(?!人)|她|[这那]个?(?=[的有是要需])|(?<![极及尤])其(?![他它余中实])"
)
_EXPLETIVE = regex.compile(
    r"(?i)\bit take\b|\b(?:is|was|isn't) it (?:possible|allowed|safe|necessary|ok|okay|true|permitted|required)\b"
)
_PERSON = regex.compile(r"\b[A-Z][\w'’-]+(?: (?:van|von|de|der|da|bin|al) | )[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)?")
_NAMED = regex.compile(r"\b(?=\w*[A-Z\d])[\w-]+")
_DETERMINER = r"(?i)\b(?:the|an?|our|my|your|their|its|this|that|these|those) "
_PREPOSITION = "after|before|between|during|since|in|at|on|for|of|from|to|by|with|under"
# Neighboring words that carry meaning; in Chinese what stands between those that do not.
_WORD = rf"(?i:\b(?!(?:{'|'.join(STOP_WORDS)}|{_PREPOSITION})\b)[A-Za-z\d\p{{Sc}}%](?:(?!{HAN})[\w.,'’%-])*(?<![.,]))"
_CHUNK = regex.compile(
    rf"的?(?=[A-Za-z\d]*{HAN})(?:(?!{UNSPACED_STOP_WORDS.pattern})[{HAN}A-Za-z\d])+|{_WORD}(?: {_WORD})*"
)


def stand_alone(messages: Sequence[Message], embed: Embed) -> str:
    """The last question of the conversation with what the turns before it say, or "" if nobody asked anything."""
    standing = reply = ""
    asked = [index for index, message in enumerate(messages) if message.role == "user"][-_MAX_TURNS:]
    for message in messages[asked[0] :] if asked else ():
        if message.role == "user":
            said = " ".join(message.content[-_MAX_CHARACTERS:].split())
            standing = _resolve(standing, reply, said, embed) if standing and said else said or standing
        elif message.role == "assistant":
            reply = message.content[:_MAX_CHARACTERS]
    return standing


def _resolve(previous: str, reply: str, said: str, embed: Embed) -> str:
    question = _LEAD.sub("", said) or said
    rest: str = _TAIL.sub("", question)
    if _CLAUSE.search(rest):
        if query_terms(rest) or len(rest.split()) > _MAX_FRAGMENT_WORDS:
            return _replace_pronoun(previous, reply, question)
        return _topic(previous) + rest if is_chinese(rest) else str(regex.sub(_ASKING, rest, previous, count=1))
    is_fragment = said.endswith(("?", "？")) and len(rest.split()) <= _MAX_FRAGMENT_WORDS
    if rest and (question != said or is_fragment):
        return _exchange(previous, rest, embed)
    return _replace_pronoun(previous, reply, said)


def _exchange(previous: str, rest: str, embed: Embed) -> str:
    """The earlier question with its year and its most similar words exchanged for those of `rest`."""
    old, new = sorted(years(previous)), sorted(years(rest))
    if new and old:
        previous = previous.replace(old[-1], new[-1])
        rest = regex.sub(f"{new[-1]}(?:年[的度]?)?", "", rest)
    elif new and not query_terms(rest.replace(new[-1], "")):
        return rest + previous if is_chinese(previous) else f"{_TAIL.sub('', previous)} {rest}?"
    is_adjective = regex.search(r"\bones?$", rest) is not None  # "the red one": its noun stays
    for chunk in _CHUNK.findall(rest):
        candidates = list(regex.finditer(_WORD, previous) if is_adjective else _CHUNK.finditer(previous))
        if not candidates:
            return f"{previous} {rest}"
        start, end = _most_similar(chunk, candidates, embed).span()
        shared = regex.search(rf"(?i)\b{regex.escape(chunk.split()[-1])}\b", previous[start:end])  # "the red lamp"
        previous = previous[:start] + chunk + previous[start + shared.end() if shared else end :]
    return previous


def _most_similar(chunk: str, candidates: "list[regex.Match[str]]", embed: Embed) -> "regex.Match[str]":
    if regex.search(HAN, chunk):  # not every embedding model reads Chinese
        return max(candidates, key=lambda found: (not years(found[0]), len(set(found[0]) & set(chunk))))
    vectors = embed([chunk, *(found[0] for found in candidates)])
    return candidates[int((vectors[1:] @ vectors[0]).argmax())]


def _replace_pronoun(previous: str, reply: str, question: str) -> str:
    pronoun = None if _EXPLETIVE.search(question) else _PRONOUN.search(question)
    if pronoun is None:
        return question
    before = question[: pronoun.start()]
    is_object = regex.search(rf"(?i)\b(?:{_PREPOSITION}) $", before) and "," not in before
    antecedent = _antecedent(previous, reply, pronoun[0].lower())
    if not antecedent or (regex.search(_DETERMINER, before) and not is_object):
        return question  # it stands for something in this very question
    possessive = "'s" if pronoun[0].lower() in {"its", "their", "his", "her"} else ""
    return before + antecedent + possessive + question[pronoun.end() :]


def _antecedent(previous: str, reply: str, pronoun: str) -> str:
    if is_chinese(previous):
        return _topic(previous)
    people = _PERSON.findall(regex.sub(_ASKING, "", previous)) or _PERSON.findall(reply)
    if pronoun in {"he", "him", "his", "she", "her"} and people:
        return str(people[0])
    chunks = [chunk for chunk in _CHUNK.finditer(previous) if not years(chunk[0])]
    named = [chunk for chunk in chunks if _NAMED.search(chunk[0])]
    determined = [chunk for chunk in chunks if regex.search(f"{_DETERMINER}$", previous[: chunk.start()])]
    if not chunks:
        return ""
    best = (named or determined or chunks)[-1]
    return ("the " if best in determined else "") + (" ".join(_NAMED.findall(best[0])) or best[0])


def _topic(question: str) -> str:
    """What a Chinese question is about: its first words that carry meaning."""
    return next((chunk[0] for chunk in _CHUNK.finditer(_LEAD.sub("", question)) if not years(chunk[0])), "")
