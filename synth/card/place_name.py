"""Names of places that never were: made of an address, the same whenever they are asked for."""

from __future__ import annotations

from typing import Literal

from terraficta.synth.types.key import SceneKey

Kind = Literal["settlement", "river", "lake"]
FIRST = (
    "Al", "Bar", "Bel", "Cor", "Dar", "Del", "Em", "Fal", "Gar", "Hal", "Il", "Kar", "Lam", "Lor", "Mar", "Mel", "Nor",
    "Or", "Pel", "Quin", "Ral", "Sal", "Ser", "Tal", "Tor", "Ul", "Val", "Ver", "Wen", "Yar",
)  # fmt: skip
MIDDLE = ("", "a", "an", "ar", "e", "el", "en", "i", "ia", "in", "o", "on", "or", "u")
LAST = {
    "settlement": ("bera", "dova", "fen", "gard", "ha", "kena", "lis", "mora", "nuk", "pola", "rath", "sted", "tan",
                   "tova", "vick", "zend"),
    "river": ("ba", "dra", "ga", "lune", "mo", "na", "nisse", "ra", "sava", "thys", "va", "wen"),
    "lake": ("bal", "dree", "gol", "lagh", "mar", "nor", "sjo", "tarn", "vann"),
}  # fmt: skip
"""ends of names by what they are of; all invented, after no language"""


def place_name(key: SceneKey, kind: Kind, y_px: int, x_px: int) -> str:
    """The name of a place of a scene, by what it is and where its middle lies [px].

    Examples
    --------
    >>> place_name(SceneKey(7, 0), "river", 10, 20) == place_name(SceneKey(7, 0), "river", 10, 20)
    True
    """
    rng = key.at("name", kind, int(y_px), int(x_px)).rng()
    parts = (FIRST, MIDDLE, LAST[kind])
    return "".join(words[int(rng.integers(len(words)))] for words in parts)
