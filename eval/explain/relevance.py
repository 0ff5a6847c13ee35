"""Layer-wise relevance propagation: relevance handed back from a score to its inputs, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class RelevanceMode(TorchFunctionMode):
    """While it is entered, gradient times input is relevance by the epsilon rule (epsilon to 0).

    Every nonlinearity f(x) is taken for a multiplication of x by f(x) / x, and every normalisation for a division by a
    deviation that is given; then what is handed back is conserved but for what biases add.

    Examples
    --------
    >>> x = torch.tensor([1.0, -2.0], requires_grad=True)
    >>> with RelevanceMode():
    ...     functional.silu(3 * x).sum().backward()
    >>> torch.allclose((x.grad * x).sum(), functional.silu(3 * x).sum())
    True

    Source
    ------
    Bach et al. 2015, doi:10.1371/journal.pone.0130140; as gradient times input: Ancona et al. 2018, arXiv 1711.06104,
    proposition 2; normalisation: Ali et al. 2022, XAI for transformers, arXiv 2202.07304
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        rule = RULES.get(func)
        return func(*args, **(kwargs or {})) if rule is None else rule(*args, **(kwargs or {}))


def _silu(x: Tensor, inplace: bool = False) -> Tensor:
    return x * torch.sigmoid(x).detach()


def _gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """The factor of the tanh form differs from the exact one by less than 5e-4."""
    return x * (0.5 * (1 + torch.erf(x / math.sqrt(2)))).detach()


def _layer_norm(
    x: Tensor, normalized_shape: list[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    axes = tuple(range(-len(normalized_shape), 0))
    centred = x - x.mean(axes, keepdim=True)
    deviation = (x.var(axes, unbiased=False, keepdim=True) + eps).sqrt().detach()
    found = centred / deviation
    found = found if weight is None else found * weight
    return found if bias is None else found + bias


RULES: Mapping[Any, Callable[..., Tensor]] = {
    functional.silu: _silu, functional.gelu: _gelu, functional.layer_norm: _layer_norm
}  # fmt: skip
"""function of torch -> how relevance goes through it"""
