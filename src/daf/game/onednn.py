"""Linear layers computed by oneDNN.

PyTorch multiplies float32 matrices with MKL, which uses only half of the vector width of AMD processors. oneDNN, which
PyTorch contains too, is up to twice as fast there. `accelerate` makes the layers of a network use it: weights, names
and state dicts stay the same, and results differ in their last bits only (float32 sums in another order).

Importing this module imports torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def accelerate(network: nn.Module) -> None:
    """Let the network's linear layers use oneDNN for float32 on CPUs, where PyTorch contains it.

    Subclasses of `nn.Linear` stay as they are: they may compute something else.
    """
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        for module in network.modules():
            if type(module) is nn.Linear:
                module.__class__ = Linear


class Linear(nn.Linear):
    """`nn.Linear`, computed by oneDNN in float32 on a CPU."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        weight, bias = self.weight, self.bias
        fits = input.dtype == weight.dtype == torch.float32 and input.device.type == weight.device.type == "cpu"
        if not fits or not input.numel() or torch.is_autocast_enabled("cpu"):  # autocast chooses its own kernels
            return super().forward(input)
        if torch.is_grad_enabled() and (input.requires_grad or weight.requires_grad):
            found: torch.Tensor = _Product.apply(input, weight, bias)  # type: ignore[no-untyped-call]
            return found
        return _product(input, weight, bias)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        context.save_for_backward(rows, weight)
        return _product(rows, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weight = context.saved_tensors
        of_rows, of_weight, of_bias = context.needs_input_grad
        flat, inputs = gradient.reshape(-1, gradient.shape[-1]), rows.reshape(-1, rows.shape[-1])
        slopes = None
        if of_weight:  # the product is faster with the shorter side first
            wide = inputs.shape[1] > flat.shape[1]
            slopes = _product(flat.t(), inputs.t()) if wide else _product(inputs.t(), flat.t()).t()
        return _product(gradient, weight.t()) if of_rows else None, slopes, flat.sum(0) if of_bias else None


def _product(rows: torch.Tensor, columns: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """(…, k) times (n, k) transposed, plus the bias: (…, n). Both may have any strides."""
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, columns, bias, "none", [], "")
    return found
