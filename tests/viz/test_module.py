"""The data flow: the arrows are the module's, with what a run of it gives."""

import numpy as np

from stnref import SpatialTransformer, grid_sample_backward, nn, viz


def test_both_terms_of_dU_and_all_shapes_are_those_of_a_run() -> None:
    rng = np.random.default_rng(0)
    net = nn.Sequential(flat=nn.Flatten(), fc=nn.Linear(30, 4), tanh=nn.Tanh())
    module = SpatialTransformer(net, 4, (3, 4), transform="rigid")
    params = module.init(rng, np.float64)
    params["regression.W"] = rng.normal(scale=0.3, size=params["regression.W"].shape)
    U = rng.normal(size=(2, 5, 6, 1))
    arrows = [arrow.get_gid() for arrow in viz.plot_data_flow(module, U, params)]
    V, cache = module.forward(U, params)
    dU, _ = module.backward(np.ones_like(V), cache)
    sampler, _ = grid_sample_backward(np.ones_like(V), cache.sample)
    assert arrows[:5] == ["U", "U", "theta (2, 3)", "grid (2, 3, 4, 2)", "V"]
    assert arrows[5] == f"dU_localisation, {np.sqrt(np.mean((dU - sampler) ** 2)):.2g}"
    assert arrows[6] == f"dU_sampler, {np.sqrt(np.mean(sampler**2)):.2g}"
    assert [arrow.split(",")[0] for arrow in arrows[7:]] == ["dtheta", "dgrid", "dV"]
