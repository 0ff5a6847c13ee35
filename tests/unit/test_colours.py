"""Classes have colours that can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from terraficta.synth.types.colours import distinct_colours


@pytest.mark.parametrize("count", [1, 3, 7, 20, 40, 120])
def test_every_class_has_a_colour_of_its_own(count: int) -> None:
    colours = distinct_colours(count)
    assert len(set(colours)) == count
    rgb = np.array([[int(c[n : n + 2], 16) for n in (1, 3, 5)] for c in colours], float)
    apart = np.abs(rgb[:, None] - rgb[None]).sum(-1) + 1e3 * np.eye(count)
    assert apart.min() >= 20
