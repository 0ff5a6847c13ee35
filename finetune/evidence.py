"""The evidence: all that a head may know of pixels, read from images of one tileset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terraficta.finetune.context import MOST_WIDE, band_pairs, context_features, far_apart
from terraficta.finetune.encoder import Encoder, labelled_parts
from terraficta.finetune.tileset.labels import Labels
from terraficta.synth.types.tile import Tile


@dataclass(frozen=True)
class Evidence:
    """What is known of P pixels.

    Parameters
    ----------
    features : Tensor
        (P, D) of the network
    fiction : Tensor | None
        (P, 24) log-probabilities of what fiction calls them; None where the network was not asked (two dates)
    uses : Tensor | None
        (P, 2) probabilities of `USES`; None likewise
    context : NDArray[np.float32]
        (P, F) bands, surroundings and ratios in product units; of two dates their difference; see `context_of`
    """

    features: Tensor
    fiction: Tensor | None
    uses: Tensor | None
    context: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.features)

    @property
    def inputs(self) -> NDArray[np.float32]:
        """(P, F + D) what a forest is given: context, and features of the network."""
        return np.stack(self.columns, axis=1)

    @property
    def columns(self) -> list[NDArray[np.float32]]:
        """The same, a column each, whole in memory: a tree looks at one after another."""
        features = torch.empty(self.features.T.shape).copy_(self.features.T)  # twice as fast as contiguous()
        return [*np.ascontiguousarray(self.context.T), *features.numpy()]

    def take(self, rows: Tensor) -> Evidence:
        """Some of the pixels, by position."""
        fiction, uses = (None if part is None else part[rows] for part in (self.fiction, self.uses))
        return Evidence(self.features[rows], fiction, uses, self.context[rows.numpy()])


@torch.no_grad()
def read_evidence(
    encoder: Encoder, image: Tensor, valid: Tensor | None = None, scenes: Sequence[str] | None = None
) -> Evidence:
    """Evidence of every pixel of images (N, T*B, H, W), in the order (N, H, W)."""
    encoder.mapper.eval()
    reading = encoder.read(image, valid, scenes)
    asked = encoder.dates == 1
    fiction = _rows(torch.log_softmax(reading.logits, 1)) if asked else None
    uses = _rows(reading.uses.sigmoid()) if asked else None
    context = context_of(encoder, image, valid, scenes)
    return Evidence(_rows(reading.features), fiction, uses, _rows(context).numpy())


def context_of(
    encoder: Encoder, image: Tensor, valid: Tensor | None = None, scenes: Sequence[str] | None = None
) -> Tensor:
    """(N, F, H, W) bands, surroundings and ratios of one date; difference, its length and surroundings of two."""
    seen = valid if valid is None else valid.to(image.device)
    wide = far_apart(encoder.sensor, MOST_WIDE)
    if encoder.dates == 1:
        return context_features(image, seen, band_pairs(encoder.sensor), wide)
    difference = encoder.difference(image, valid, scenes).to(image.device)
    return context_features(difference, seen, (), [*wide, len(encoder.sensor)])


def evidence_at(encoder: Encoder, tiles: Sequence[Tile], labels: Labels) -> Evidence:
    """Evidence of labelled pixels, in their order; only windows that hold labels are computed."""
    parts: list[Evidence] = []
    order: list[Tensor] = []
    for part in labelled_parts(tiles, labels):
        parts.append(read_evidence(encoder, part.image, part.valid, [part.scene]).take(part.place))
        order.append(part.which)
    return together(parts).take(torch.argsort(torch.cat(order)))


def together(parts: Sequence[Evidence]) -> Evidence:
    """Evidence of several groups of pixels, one after another."""

    def joined(kind: Sequence[Tensor | None]) -> Tensor | None:
        known = [part for part in kind if part is not None]
        return torch.cat(known) if len(known) == len(parts) else None

    return Evidence(
        torch.cat([part.features for part in parts]),
        joined([part.fiction for part in parts]),
        joined([part.uses for part in parts]),
        np.concatenate([part.context for part in parts]),
    )


def _rows(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N*H*W, C), on the CPU; of a single image nothing is moved in memory."""
    return x[0].flatten(1).T.cpu() if len(x) == 1 else x.permute(0, 2, 3, 1).flatten(0, 2).cpu()
