"""The frame: pixels, the fine cells under them, and the fine cells around them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

SIDE_MULTIPLE = 32
"""planes of whole SIMD lanes: the last bit of a scene does not depend on its neighbours in the batch"""


@dataclass(frozen=True)
class Frame:
    """What the scenes of a batch share.

    Parameters
    ----------
    size : int
        pixels along a side [px]
    factor : int
        fine cells along a pixel
    margin : int
        fine cells around the image, which the camera sees too

    Examples
    --------
    >>> Frame.around(96, 2, 20)
    Frame(size=96, factor=2, margin=32)
    """

    size: int
    factor: int
    margin: int

    @classmethod
    def around(cls, size: int, factor: int, margin: int) -> Frame:
        """With at least so many cells of margin, rounded up to whole SIMD lanes."""
        return cls(size, factor, margin + -(size * factor + 2 * margin) % SIDE_MULTIPLE // 2)

    @property
    def side(self) -> int:
        """Fine cells along a side, margins included."""
        return self.size * self.factor + 2 * self.margin

    @property
    def core(self) -> slice:
        """The fine cells that are in the image."""
        return slice(self.margin, self.margin + self.size * self.factor)

    def on_pixels(self, fine: Tensor) -> Tensor:
        """Mean over the fine cells of each pixel."""
        return functional.avg_pool2d(fine[..., self.core, self.core].float(), self.factor)

    def in_the_middle(self, fine: Tensor) -> Tensor:
        """The fine cell in the middle of each pixel."""
        centre = slice(self.margin + self.factor // 2, self.core.stop, self.factor)
        return fine[..., centre, centre]
