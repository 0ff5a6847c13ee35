"""Meanings: what each class of a user's legend is in ours, stated by the user or proposed from its name."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from terraficta.synth.types.legend import TERRAFICTA, USES
from terraficta.synth.types.refusal import Refusal

LEXICON = Path(__file__).parent / "lexicon.yaml"
TOLERANCE = 0.01
"""by how much the weights of a meaning may miss 1: people write thirds as 0.33"""
STATED, NOT_UNDERSTOOD = "stated", "not understood"
LONGEST = 12
"""words that a phrase of the lexicon has at most"""
SHORTEST_COMPOUND = 6
"""letters that a word needs before its end is looked at for a German noun"""

WORDS = (*TERRAFICTA.classes, *USES)
"""what a meaning may name: what covers the ground, or what people use it for"""
Stated = Mapping[str, Mapping[str, float] | str | None]
"""class of the user -> {class of ours: weight}, one class of ours, or None: not to be guessed"""
Weights = tuple[float, ...]


@dataclass(frozen=True)
class Meanings:
    """What the classes of a user's legend are in the legend of Terraficta, and in its uses.

    Parameters
    ----------
    classes : tuple[str, ...]
        K class names of the user
    matrix : Tensor
        (K, 26) weights over `WORDS` that sum to 1 a class; all zero where a class has no meaning
    named : tuple[bool, ...]
        K; whether a class has a meaning
    because : tuple[str, ...]
        K; "stated", "not understood", or the words that it was understood by, for the user to read
    shares : Tensor | None
        (K,) areas that the user knows of, summing to 1; None where nothing is known

    Examples
    --------
    >>> print(propose_meanings(["Forest", "clouds"]).lines()[1])
    clouds: not understood; write means: in tileset.yaml, or do without
    """

    classes: tuple[str, ...]
    matrix: Tensor
    named: tuple[bool, ...]
    because: tuple[str, ...]
    shares: Tensor | None = field(default=None)

    @property
    def enough(self) -> bool:
        """Whether names tell any two classes apart; one that has none is told from those that have."""
        return any(self.named) and self.telling > 0

    @property
    def telling(self) -> float:
        """How far names tell classes apart, 0 (all mean one thing) .. 1 (each means its own): of five crops, little."""
        known = {tuple(row) for row, named in zip(self.matrix.tolist(), self.named, strict=True) if named}
        return (len(known) + (not all(self.named)) - 1) / max(len(self.classes) - 1, 1)

    def lines(self) -> list[str]:
        """One line a class, so that the user can correct it."""
        found = []
        for name, row, because in zip(self.classes, self.matrix.tolist(), self.because, strict=True):
            parts = sorted(((w, c) for w, c in zip(row, WORDS, strict=True) if w > 0), reverse=True)
            if parts:
                found.append(f"{name}: {', '.join(f'{c} {w:.2f}' for w, c in parts)} ({because})")
            elif because == STATED:
                found.append(f"{name}: no meaning, as stated")
            else:
                found.append(f"{name}: {because}; write means: in tileset.yaml, or do without")
        return found


def propose_meanings(
    classes: Sequence[str],
    stated: Stated | None = None,
    shares: Mapping[str, float] | None = None,
    where: str | Path = "legend",
) -> Meanings:
    """Meanings of class names: as stated, else as the lexicon understands them.

    Raises
    ------
    Refusal
        a class of ours or of the user's that does not exist, weights that do not sum to 1, all classes alike, shares
        that are negative or exceed 1
    """
    stated = stated or {}
    for name in stated:
        _require_class(where, f"means.{name}", name, classes)
    rows, because = [], []
    ours = all(name in TERRAFICTA.classes for name in classes)
    for name in classes:
        if ours and name not in stated:
            rows.append(_stated_weights(where, name, name))
            because.append("our own class")
            continue
        if name in stated:
            rows.append(_stated_weights(where, name, stated[name]))
            because.append(STATED)
            continue
        found = understand(name)
        rows.append(found[0] if found else (0.0,) * len(WORDS))
        because.append(f"from '{found[1]}'" if found else NOT_UNDERSTOOD)
    matrix = torch.tensor(rows, dtype=torch.float32).reshape(len(classes), len(WORDS))
    named = tuple(bool(row.sum() > 0) for row in matrix)
    made = Meanings(tuple(classes), matrix, named, tuple(because), _read_shares(where, classes, shares))
    if len(classes) > 1 and all(name in stated for name in classes) and any(named) and not made.enough:
        mend = "give classes that differ different meanings, or write null for those that names cannot tell"
        raise Refusal(where, "means", "one meaning for all classes", "at least two meanings", mend)
    return made


def _require_class(where: str | Path, field: str, name: str, classes: Sequence[str]) -> None:
    if name not in classes:
        near = difflib.get_close_matches(name, classes, 1)
        mend = f"did you mean {near[0]}?" if near else "correct the name"
        raise Refusal(where, field, f"{name}, a class that is not in the legend", f"one of {', '.join(classes)}", mend)


def _stated_weights(where: str | Path, name: str, said: Mapping[str, float] | str | None) -> Weights:
    if said is None:
        return (0.0,) * len(WORDS)
    shares = {said: 1.0} if isinstance(said, str) else dict(said)
    for ours, weight in shares.items():
        if ours not in WORDS:
            near = difflib.get_close_matches(ours, WORDS, 1)
            mend = f"did you mean {near[0]}?" if near else "use a class of our legend"
            raise Refusal(where, f"means.{name}", ours, f"one of {', '.join(WORDS)}", mend)
        if not 0 <= weight <= 1:
            raise Refusal(where, f"means.{name}.{ours}", weight, "a weight from 0 to 1", "correct the weight")
    total = sum(shares.values())
    if abs(total - 1) > TOLERANCE:
        scaled = ", ".join(f"{ours}: {weight / total:.2f}" for ours, weight in shares.items()) if total > 0 else "..."
        raise Refusal(where, f"means.{name}", f"weights that sum to {total:g}", "a sum of 1", f"write {{{scaled}}}")
    return tuple(shares.get(ours, 0.0) / total for ours in WORDS)


def _read_shares(where: str | Path, classes: Sequence[str], said: Mapping[str, float] | None) -> Tensor | None:
    """Shares of all classes: as stated, what is left over the others alike."""
    if not said:
        return None
    for name, share in said.items():
        _require_class(where, f"shares.{name}", name, classes)
        if not 0 < share <= 1:
            mend = "write the share of the land that the class covers, e.g. 0.25; leave out what is not known"
            raise Refusal(where, f"shares.{name}", share, "a share above 0, at most 1", mend)
    total, others = sum(said.values()), len(classes) - len(said)
    if total > 1 + TOLERANCE or (others == 0 and abs(total - 1) > TOLERANCE) or (others and total >= 1):
        expected = "less than 1, as other classes need their part" if others else "a sum of 1"
        raise Refusal(where, "shares", f"shares that sum to {total:g}", expected, "scale the shares")
    rest = (1 - total) / others if others else 0.0
    return torch.tensor([said.get(name, rest) for name in classes], dtype=torch.float32)


@dataclass(frozen=True)
class _Lexicon:
    """The lexicon, its words brought to one spelling."""

    phrases: Mapping[str, Weights]
    refused: frozenset[str]
    joining: frozenset[str]
    relating: frozenset[str]
    filling: frozenset[str]
    endings: Mapping[str, str]
    spelling: Mapping[str, str]


@lru_cache
def read_lexicon() -> _Lexicon:
    """The lexicon that ships; refuses a word that stands under two meanings."""
    content: dict[str, Any] = yaml.safe_load(LEXICON.read_text(encoding="utf-8"))
    spelling = {_stem(_plain(a)): _stem(_plain(b)) for a, b in content["spelling"].items()}

    def words(key: str) -> frozenset[str]:
        return frozenset(_stem(_plain(word)) for word in re.split(r"[,\s]+", content[key]) if word)

    joining, relating = words("joining"), words("relating")
    phrases: dict[str, Weights] = {}
    for entry in content["meanings"]:
        weights = tuple(float(entry["means"].get(c, 0.0)) for c in WORDS)
        for phrase in entry["words"].split(","):
            key = _key(_tokens(phrase, spelling), joining, relating)
            if phrases.setdefault(key, weights) != weights:
                raise Refusal(LEXICON, "words", f"{phrase.strip()} twice", "one meaning a phrase", "drop one of them")
    endings = {
        _stem(_plain(end)): _key(_tokens(goal, spelling), joining, relating) for end, goal in content["endings"].items()
    }
    return _Lexicon(phrases, words("not_understood"), joining, relating, words("filling"), endings, spelling)


def understand(name: str) -> tuple[Weights, str] | None:
    """Weights over our classes that a class name means, and the words that said so; None where it is not understood.

    The whole name is looked up; else `trees and shrubs` is half of each; else the last noun counts (`montane forest`),
    or the most particular one where words relate (`campo de trigo`). A name that holds a negation, or a word like
    `other` or `cloud`, is not guessed.
    """
    lexicon = read_lexicon()
    tokens = _tokens(name, lexicon.spelling)
    while tokens:
        whole = _key(tokens, lexicon.joining, lexicon.relating)
        if whole in lexicon.phrases:
            return lexicon.phrases[whole], " ".join(t for t in tokens if t != "&")
        if tokens[0] not in lexicon.joining | {"&"}:
            break
        tokens = tokens[1:]
    if not tokens or lexicon.refused & set(tokens):
        return None
    parts: list[list[str]] = [[]]
    for token in tokens:
        if token in lexicon.joining or token == "&":
            parts.append([])
        else:
            parts[-1].append(token)
    parts = [part for part in parts if set(part) - lexicon.filling - lexicon.relating]
    found = [_understand_part(part, lexicon) for part in parts]
    if not found or any(part is None for part in found):
        return None
    known = [part for part in found if part is not None]
    mixed = tuple(sum(column) / len(known) for column in zip(*(weights for weights, _ in known), strict=True))
    return mixed, " + ".join(words for _, words in known)


def _understand_part(tokens: list[str], lexicon: _Lexicon) -> tuple[Weights, str] | None:
    """One noun with what goes before or after it."""
    matches: list[tuple[int, Weights, str]] = []
    start = 0
    while start < len(tokens):
        for stop in range(min(len(tokens), start + LONGEST), start, -1):
            key = _key(tokens[start:stop], frozenset(), lexicon.relating)
            weights = lexicon.phrases.get(key)
            if weights is None and stop - start == 1:
                weights = _compound(tokens[start], lexicon)
            if weights is not None and tokens[start] not in lexicon.relating:
                matches.append((stop, weights, " ".join(tokens[start:stop])))
                start = stop
                break
        else:
            start += 1
    content = [match for match in matches if match[2] not in lexicon.filling] or matches
    if not content:
        return None
    if lexicon.relating & set(tokens):
        best = max(content, key=lambda match: max(match[1]))
    else:
        best = content[-1]
        if set(tokens[best[0] :]) - lexicon.filling:  # what the name is about was not understood
            return None
    return best[1], best[2]


def _compound(token: str, lexicon: _Lexicon) -> Weights | None:
    """A German noun by its end: Kiefernwald is a wald."""
    for end in sorted(lexicon.endings, key=len, reverse=True):
        if len(token) >= max(SHORTEST_COMPOUND, len(end) + 3) and token.endswith(end):
            return lexicon.phrases.get(lexicon.endings[end])
    return None


def _plain(text: str) -> str:
    """Without case and accents."""
    text = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss").replace("œ", "oe"))
    return "".join(letter for letter in text if not unicodedata.combining(letter))


def _stem(word: str) -> str:
    """Without the plural, and German umlauts alike in both spellings: Waelder is Wälder."""
    if len(word) < 4 or word.endswith(("ss", "us", "is")):
        pass
    elif word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("ches", "shes", "sses", "xes")):
        word = word[:-2]
    elif word.endswith("s"):
        word = word[:-1]
    return word.replace("ae", "a").replace("oe", "o").replace("ue", "u")


def _tokens(name: str, spelling: Mapping[str, str]) -> list[str]:
    """Words of a name in one spelling; `&` for what joins, codes left out."""
    name = re.sub(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])", " ", name)
    found = []
    for word in re.findall(r"[^\W\d_]+|\d+|[&/+,;|]", _plain(re.sub(r"\b[A-Za-z]?\d+(\.\d+)*[a-z]?\b", " ", name))):
        if word.isdigit():
            continue
        if not word.isalpha():
            found.append("&")
            continue
        word = _stem(word)
        found.append(spelling.get(word, word))
    while found and found[-1] == "&":
        found.pop()
    return found


def _key(tokens: Sequence[str], joining: frozenset[str], relating: frozenset[str]) -> str:
    """What phrases are compared by: their words in a row, without those that join and relate."""
    return "".join(t for t in tokens if t not in joining and t not in relating and t != "&")
