"""The recipe for PyTorch's weights on the spatial transformer of PyTorch's tutorial."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stnref import SpatialTransformer

pytest.importorskip("torch", reason="the optional extra 'peers' is not installed")

import torch
from torch.nn.functional import affine_grid, grid_sample

RECIPES = Path(__file__).parents[2] / "docs" / "recipes.md"


class Tutorial(torch.nn.Module):
    """The layers up to the sampler, by the tutorial's names."""

    def __init__(self) -> None:
        super().__init__()
        self.localization = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, kernel_size=7),
            torch.nn.MaxPool2d(2, stride=2),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 10, kernel_size=5),
            torch.nn.MaxPool2d(2, stride=2),
            torch.nn.ReLU(),
        )
        self.fc_loc = torch.nn.Sequential(
            torch.nn.Linear(10 * 3 * 3, 32), torch.nn.ReLU(), torch.nn.Linear(32, 6)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.localization(x).view(-1, 10 * 3 * 3)
        theta = self.fc_loc(features).view(-1, 2, 3)
        return grid_sample(
            x, affine_grid(theta, x.size(), align_corners=False), align_corners=False
        )


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    """What the recipe's own code defines."""
    text = RECIPES.read_text(encoding="utf-8")
    start = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)  # the page's imports
    section = text.split("## My weights are from PyTorch")[1].split("\n## ")[0]
    names: dict[str, Any] = {}
    for code in (start, *re.findall(r"```python\n(.*?)```", section, re.DOTALL)):
        exec(code, names)  # our own page
    return names


def _model(dtype: torch.dtype) -> Tutorial:
    torch.manual_seed(0)
    return Tutorial().to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_outputs_and_gradients(
    recipe: dict[str, Any], dtype: torch.dtype, tolerance: float
) -> None:
    model, st = _model(dtype), recipe["st"]
    assert isinstance(st, SpatialTransformer)
    rng = np.random.default_rng(0)
    U, dV = (torch.tensor(rng.standard_normal((3, 1, 28, 28)), dtype=dtype) for _ in range(2))
    U.requires_grad_()
    V = model(U)
    V.backward(dV)
    gradients = {name: weight.grad for name, weight in model.named_parameters()}

    params = recipe["from_torch"](model.state_dict())
    ours, cache = st.forward(np.moveaxis(U.detach().numpy(), 1, -1), params)
    dU, dparams = st.backward(np.moveaxis(dV.numpy(), 1, -1), cache)
    expected = recipe["from_torch"](gradients)
    assert dparams.keys() == expected.keys() == params.keys()
    pairs = {name: (dparams[name], expected[name]) for name in dparams}
    pairs["V"] = ours, np.moveaxis(V.detach().numpy(), 1, -1)
    pairs["dU"] = dU, np.moveaxis(U.grad.numpy(), 1, -1)
    for name, (actual, theirs) in pairs.items():
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(
            actual, theirs, rtol=0, atol=tolerance * scale, err_msg=name, strict=True
        )


def test_there_and_back(recipe: dict[str, Any]) -> None:
    """Other weights, out of ours, are what the model computes with then."""
    model, st = _model(torch.float64), recipe["st"]
    params = st.init(np.random.default_rng(1), np.float64)
    params["regression.W"] = 0.1 * np.random.default_rng(2).standard_normal((32, 6))
    state = {k: torch.from_numpy(v) for k, v in recipe["to_torch"](params).items()}
    model.load_state_dict(state)
    back = recipe["from_torch"](model.state_dict())
    for name, weight in params.items():
        np.testing.assert_array_equal(back[name], weight)
    U = np.random.default_rng(3).random((2, 1, 28, 28))
    V = model(torch.tensor(U)).detach().numpy()
    ours, _ = st.forward(np.moveaxis(U, 1, -1), params)
    np.testing.assert_allclose(ours, np.moveaxis(V, 1, -1), atol=1e-12)
