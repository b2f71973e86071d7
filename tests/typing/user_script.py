"""What a user writes, for the type checkers: every gradient is an array, and so used."""

import numpy as np
from numpy.typing import NDArray

import stnref
from stnref import nn
from stnref.filled import filled_grid_sample_backward, filled_grid_sample_forward
from stnref.presets import pytorch_grid_sample_backward, pytorch_grid_sample_forward

rng = np.random.default_rng(0)
U: NDArray[np.float64] = rng.random((2, 8, 9, 3))
theta = np.tile(np.eye(2, 3), (2, 1, 1))
grid, grid_cache = stnref.affine_grid_forward(theta, stnref.target_grid((4, 5)))

V, cache = stnref.grid_sample_forward(U, grid, mode="bicubic", padding_mode=("wrap", "border"))
dU, dgrid = stnref.grid_sample_backward(V, cache)
step = U - 0.1 * dU
dtheta = stnref.affine_grid_backward(dgrid, grid_cache)
_, only_dgrid = stnref.grid_sample_backward(V, cache, needs=["grid"])
dtheta += stnref.affine_grid_backward(only_dgrid, grid_cache)

points, unnormalize_cache = stnref.unnormalize_forward(grid, (8, 9))
V, sample_cache = stnref.sample_forward(U, points, kernel=stnref.kernels.bspline3())
_, dpoints = stnref.sample_backward(V, sample_cache)
total: float = float(stnref.unnormalize_backward(dpoints, unnormalize_cache).sum())

V, pytorch_cache = pytorch_grid_sample_forward(U, grid)
total += float(pytorch_grid_sample_backward(V, pytorch_cache)[0].sum())
V, filled_cache = filled_grid_sample_forward(U, grid, np.ones(3))
total += float(filled_grid_sample_backward(V, filled_cache)[2].sum())

localisation = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(8 * 9 * 3, 6), tanh=nn.Tanh())
module = stnref.SpatialTransformer(localisation, 6, (4, 5), padding_mode="border")
params = module.init(rng, np.float64)
V, module_cache = module.forward(U, params)
dU, dparams = module.backward(V, module_cache)
params, state = nn.SGD().step(params, dparams, nn.SGD().init(params), 0.1)

report = stnref.check_gradients(
    stnref.grid_sample_forward, stnref.grid_sample_backward, [U, grid], jvp=stnref.grid_sample_jvp
)
print(report.ok, total, step.shape, dtheta.shape, state.keys())
