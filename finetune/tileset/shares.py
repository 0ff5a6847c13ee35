"""The shares: how far each feature of a vector file speaks for each class, by confidence and by votes."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terraficta.synth.types.refusal import Refusal

CONFIDENCE_WORDS = ("confidence", "conf", "certainty")
"""columns that say how sure a class is"""
PERCENT = 100.0
log = logging.getLogger("terraficta")

Rows = Sequence[Mapping[str, Any]]
"""attributes, one mapping a feature"""


@dataclass(frozen=True)
class Shares:
    """What features say of classes.

    Parameters
    ----------
    of_classes : NDArray[np.float32]
        (F, K) class mass: sums to at most 1 a feature
    because : str
        what it was taken from
    """

    of_classes: NDArray[np.float32]
    because: str


def read_votes(
    path: str, rows: Rows, legend: Sequence[str], stated: Mapping[str, str] | None
) -> NDArray[np.float32] | None:
    """(F, K) votes, or None where there are none.

    Parameters
    ----------
    stated : Mapping[str, str] | None
        class -> column; None: columns that are called as at least two classes are, all of whose values can be votes

    Raises
    ------
    Refusal
        a column that is stated and not there, or whose values are no votes
    """
    columns = {name.strip().lower(): name for name in (rows[0] if rows else {})}
    chosen = {name: columns[name.lower()] for name in legend if name.lower() in columns} if stated is None else stated
    if stated is None and len(chosen) < 2:
        return None
    votes = np.zeros((len(rows), len(legend)), np.float32)
    for name, column in chosen.items():
        if column not in columns.values():
            raise Refusal(path, "votes_columns", column, f"one of {', '.join(columns.values())}", "correct the name")
        for n, row in enumerate(rows):
            value = _number(row.get(column))
            if value is None or value < 0:
                if stated is None:
                    return None
                found = f"{row.get(column)!r} in column {column}"
                raise Refusal(path, "votes_columns", found, "a number of votes", "correct the file")
            votes[n, list(legend).index(name)] = value
    return votes


def read_shares(
    path: str,
    rows: Rows,
    count: int,
    classes: Sequence[int],
    votes: NDArray[np.float32] | None,
    stated: str | None,
) -> Shares | None:
    """What features say of K classes; None where each says one class and no more.

    Parameters
    ----------
    count : int
        K
    classes : Sequence[int]
        (F,) 1..K, or 0 for none
    votes : NDArray[np.float32] | None
        (F, K)
    stated : str | None
        column of confidences; None: one that is called so and holds nothing but numbers from 0 to 1

    Raises
    ------
    Refusal
        a column that is stated and not there, or whose values are no confidences
    """
    confidence, column = _confidence(path, rows, stated)
    if votes is None and confidence is None:
        return None
    if votes is None:
        shares = np.zeros((len(rows), count), np.float32)
        given = np.array(classes) > 0
        shares[given, np.array(classes)[given] - 1] = 1
    else:
        shares = votes / np.maximum(votes.sum(1, keepdims=True), 1e-9)
    because = ["votes"] if votes is not None else []
    if confidence is not None:
        shares = shares * confidence[:, None]
        because.append(f"the confidence in column {column}")
    return Shares(shares.astype(np.float32), " and ".join(because))


def _confidence(path: str, rows: Rows, stated: str | None) -> tuple[NDArray[np.float32] | None, str]:
    names = list(rows[0]) if rows else []
    if stated is not None and stated not in names:
        raise Refusal(path, "confidence_column", stated, f"one of {', '.join(names)}", "correct the name")
    called = [name for name in names if name.strip().lower() in CONFIDENCE_WORDS]
    column = stated if stated is not None else (called[0] if called else None)
    if column is None:
        return None, ""
    values = [_number(row.get(column)) for row in rows]
    strange = [row.get(column) for row, value in zip(rows, values, strict=True) if value is None or not 0 <= value <= 1]
    if not strange:
        return np.array(values, np.float32), column
    if stated is None and any(_number(value) is None for value in strange):
        log.warning("%s: column %s is left aside, for %r is no confidence from 0 to 1", path, column, strange[0])
        return None, ""
    percent = all(value is not None and 0 <= value <= PERCENT for value in values)
    mend = f"divide the column by {PERCENT:g}" if percent else "write confidences from 0 to 1"
    found = f"{strange[0]} in column {column}"
    raise Refusal(path, "confidence_column", found, "a confidence from 0 to 1", f"{mend}, or rename the column")


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
