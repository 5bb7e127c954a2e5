"""Layers by oneDNN compute what PyTorch's own compute, up to the order of sums, and keep their names and weights."""

import copy
import pickle

import pytest
import torch
from torch import nn

from daf.game.onednn import Linear, accelerate


def networks() -> tuple[nn.Module, nn.Module]:
    """A network, and the same with faster layers."""
    torch.manual_seed(4)
    plain = nn.Sequential(nn.Linear(33, 20), nn.ReLU(), nn.Linear(20, 65, bias=False), nn.Linear(65, 7))
    fast = copy.deepcopy(plain)
    accelerate(fast)
    return plain, fast


@pytest.mark.parametrize("shape", [(1, 33), (128, 33), (6, 5, 33), (33,)], ids=str)
def test_values_and_gradients_are_those_of_pytorchs_layers(shape: tuple[int, ...]) -> None:
    seen = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    found = []
    for network in networks():
        inputs = seen.clone().requires_grad_()
        outputs = network(inputs)
        (outputs * outputs.detach().cos()).sum().backward()
        gradients = [inputs.grad, *(parameter.grad for parameter in network.parameters())]
        with torch.no_grad():
            assert torch.equal(network(seen), outputs)
        found.append([outputs.detach(), *gradients])
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_only_plain_linear_layers_change_their_kind_and_no_weight_changes() -> None:
    class Doubled(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    network = nn.Sequential(nn.Linear(3, 4), Doubled(4, 5))
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    accelerate(network)
    assert [type(layer) for layer in network] == [Linear, Doubled]
    after = network.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    inputs = torch.ones(2, 3)
    assert torch.equal(pickle.loads(pickle.dumps(network[0]))(inputs), network[0](inputs))


@pytest.mark.parametrize("mode", ["float64", "autocast", "empty"])
def test_what_onednn_is_not_for_is_computed_by_pytorch(mode: str) -> None:
    plain, fast = networks()
    seen = torch.randn((0 if mode == "empty" else 9, 33), generator=torch.Generator().manual_seed(6))
    if mode == "float64":
        plain, fast, seen = plain.double(), fast.double(), seen.double()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mode == "autocast"):
        expected, given = plain(seen), fast(seen)
    assert given.dtype == expected.dtype
    assert torch.equal(given, expected)


def test_a_frozen_layer_passes_gradients_on_and_gets_none() -> None:
    _, fast = networks()
    fast[0].requires_grad_(False)
    inputs = torch.randn((4, 33), generator=torch.Generator().manual_seed(7)).requires_grad_()
    fast(inputs).sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.abs().sum() > 0
    assert fast[0].weight.grad is None
    assert fast[3].weight.grad is not None
