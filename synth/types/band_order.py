"""The band order: what a file says of its bands, by name and wavelength, against what a sensor says."""

from __future__ import annotations

import re
from collections.abc import Sequence

from terraficta.synth.types.sensor import Band

COLOURS_NM = {
    "blue": (430.0, 525.0),
    "green": (525.0, 600.0),
    "red": (600.0, 700.0),
    "nir": (750.0, 1000.0),
    "nearinfrared": (750.0, 1000.0),
}
"""words for bands that many files use, and where they lie [nm]"""
COUNTED = re.compile(r"(?i:band|layer|channel) \d+")
"""what GDAL calls bands that have no name in some formats; it counts them and says no more"""
NEAR_NM = 12.0
"""a declared wavelength may lie so far from the centre of a narrow band [nm]"""


def plain(name: str) -> str:
    """A name without case, blanks, signs, leading zeros and the word `band`: `Band 08` and `B8` are one.

    Examples
    --------
    >>> plain("B08"), plain("band_8"), plain("B8A"), plain("Near Infrared")
    ('b8', 'b8', 'b8a', 'nearinfrared')
    """
    text = re.sub(r"[^0-9a-z]", "", name.lower())
    text = re.sub(r"^band(?=\d)", "b", text)
    return re.sub(r"(?<![0-9])0+(?=\d)", "", text)


def positions_by_name(names: Sequence[str | None], bands: Sequence[Band]) -> list[int | None]:
    """For each name of a file the band of the sensor that it means, or None.

    A name means a band of the same name, or else the one band that lies where a colour word says.
    """
    by_name = {plain(band.name): n for n, band in enumerate(bands)}
    found: list[int | None] = []
    for name in names:
        word = plain(name or "")
        n = by_name.get(word)
        if n is None and word in COLOURS_NM:
            low, high = COLOURS_NM[word]
            there = [k for k, band in enumerate(bands) if low <= band.centre_nm < high]
            n = there[0] if len(there) == 1 else None
        found.append(n)
    return found


def positions_by_wavelength(centres_nm: Sequence[float | None], bands: Sequence[Band]) -> list[int | None]:
    """For each wavelength of a file the nearest band of the sensor, or None where there is none near."""
    found: list[int | None] = []
    for centre_nm in centres_nm:
        if centre_nm is None:
            found.append(None)
            continue
        n = min(range(len(bands)), key=lambda k: abs(bands[k].centre_nm - centre_nm))
        near = abs(bands[n].centre_nm - centre_nm) <= max(NEAR_NM, bands[n].fwhm_nm / 2)
        found.append(n if near else None)
    return found


def stated_order(
    names: Sequence[str | None], centres_nm: Sequence[float | None], bands: Sequence[Band]
) -> list[int | None] | None:
    """Which band of the sensor each band of a file is; None where the file says nothing that can be compared.

    Names that mean no band of the sensor at all (`Gray`, `layer 1`) say nothing; as soon as one of them does, the
    others are taken at their word, and a strange one is None in the list.
    """
    if all(centre is not None for centre in centres_nm):
        return positions_by_wavelength(centres_nm, bands)
    if all(COUNTED.fullmatch(name or "") and name.split()[-1] == str(n) for n, name in enumerate(names, 1) if name):
        return None
    found = positions_by_name(names, bands)
    known = [n for n in found if n is not None]
    if not known or len(set(known)) < len(known):
        return None
    # bands without any name are taken in place
    return [k if n is None and not names[k] and k < len(bands) else n for k, n in enumerate(found)]
