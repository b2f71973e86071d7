r"""The spatial transformer module: one layer out of the three parts.

Derivation: ``docs/derivations/sampler.md``, equations S18 and S19.

    U -> localisation net -> regression -> theta -> transform -> grid -> sample(U, grid) -> V

U feeds two branches, so its gradient has two terms, that of the sampler and that of the
localisation net:  dU = dU_sampler + dU_localisation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from stnref.kernels import MODES, Kernel, get_kernel
from stnref.nn.layer import NEEDS, Layer, Params
from stnref.nn.linear import Linear
from stnref.nn.sequential import prefixed, under
from stnref.padding import PaddingLike, get_paddings, padding_modes
from stnref.sampler import GridSampleCache, grid_sample_backward, grid_sample_forward
from stnref.transforms.registry import Transform, get_transform
from stnref.validation import AXES, Array, expect_array, expect_dtype, expect_needs, expect_sizes


class SpatialTransformerCache(NamedTuple):
    """The caches of the parts, with theta and the grid for those who want to see them."""

    localisation: Any
    regression: Any
    transform: Any
    sample: GridSampleCache
    theta: Array  # (B, n_params)
    grid: Array  # (B, H', W', 2)


class SpatialTransformer:
    """A localisation net, a transform and the sampler, as a layer (the paper, section 3).

    Parameters
    ----------
    localisation : Layer
        Any net from U (B, H, W, C), or (B, D, H, W, C), to features (B, n_features).
    n_features : int
        Number of features it gives; a linear layer takes them to theta.
    out_shape : (H', W') or (D', H', W')
        Size of the output in pixels, free of the input's; of volumes for "affine3d".
    transform : str or Transform
        A name for `get_transform`, or a transform of your own onto `out_shape`.
    mode, padding_mode
        Interpolation and padding of the sampler, see `grid_sample_forward`.
    align_corners : bool
        Corner rule of target grid and sampler, see `target_grid`.

    Examples
    --------
    >>> from stnref.nn import Flatten
    >>> st = SpatialTransformer(Flatten(), 12, (2, 3), transform="rigid")
    >>> params = st.init(np.random.default_rng(0))
    >>> U = np.arange(12, dtype=np.float32).reshape(1, 4, 3, 1)
    >>> V, cache = st.forward(U, params)
    >>> V[0, :, :, 0].tolist()
    [[0.0, 1.0, 2.0], [9.0, 10.0, 11.0]]
    """

    def __init__(
        self,
        localisation: Layer,
        n_features: int,
        out_shape: Sequence[int],
        *,
        transform: str | Transform = "affine",
        mode: str | Kernel = "bilinear",
        padding_mode: PaddingLike = "zeros",
        align_corners: bool = True,
    ) -> None:
        self.localisation = localisation
        if isinstance(transform, str):
            transform = get_transform(transform, out_shape, align_corners=align_corners)
        if not isinstance(transform, Transform):
            raise TypeError(f"transform: expected a name or a Transform, got {transform!r}")
        self.out_shape = expect_sizes("out_shape", out_shape, (2, 3))
        self.transform = transform
        d, known = len(self.out_shape), padding_modes(align_corners)
        self.sampling: dict[str, Any] = {
            "mode": get_kernel(mode, "mode", MODES),
            "padding_mode": get_paddings(padding_mode, d, "padding_mode", known),
            "align_corners": align_corners,
        }
        self.regression = Linear(n_features, transform.n_params)

    def init(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Params:
        """Draw the localisation net; the regression starts at zero weights and identity bias.

        Parameters
        ----------
        rng : numpy.random.Generator
        dtype : float32 or float64

        Returns
        -------
        params : dict of str to array
            Keys "localisation.…" and "regression.W", "regression.b".

        Raises
        ------
        TypeError
            The dtype is neither float32 nor float64.
        """
        dtype = expect_dtype("dtype", dtype)
        start = {
            "W": np.zeros(self.regression.shape, dtype),
            "b": self.transform.identity.astype(dtype),
        }
        return {
            **prefixed("localisation", self.localisation.init(rng, dtype)),
            **prefixed("regression", start),
        }

    def forward(
        self, U: ArrayLike, params: Params | None = None
    ) -> tuple[Array, SpatialTransformerCache]:
        """Sample U where the localisation net says: V = sample(U, grid(theta(U))).

        Parameters
        ----------
        U : (B, H, W, C) or (B, D, H, W, C)
            Input map.
        params : dict of str to array, optional
            From `init`; the layers may have none.

        Returns
        -------
        V : (B, H', W', C) or (B, D', H', W', C)
        cache : SpatialTransformerCache
            With theta and the grid.

        Raises
        ------
        TypeError, ValueError
            U is not a batch of maps, or of volumes, of a floating dtype, or the features are
            not (B, n_features).
        NonFiniteError
            theta sends the grid to a NaN or to infinity: training has diverged.
        """
        U = expect_array("U", U, ("B", *AXES[len(self.out_shape)], "C"))
        features, localisation = self.localisation.forward(U, under("localisation", params))
        theta, regression = self.regression.forward(features, under("regression", params))
        grid, transform = self.transform.forward(theta)
        V, sample = grid_sample_forward(U, grid, **self.sampling)
        return V, SpatialTransformerCache(localisation, regression, transform, sample, theta, grid)

    def backward(
        self, dV: ArrayLike, cache: SpatialTransformerCache, *, needs: Collection[str] = NEEDS
    ) -> tuple[Any, Params]:
        """dU = dU_sampler + dU_localisation, and dparams (S19).

        dV : shape of V -> dU : shape of U, or None, dparams : keyed like params. `needs` names
        the gradients to compute, a subset of {"X", "params"}, where X is U.
        Raises ValueError if dV does not have the shape of V or `needs` names something else.
        """
        expect_needs(needs, NEEDS)
        inputs = ("U", "grid") if "X" in needs else ("grid",)
        dU, dgrid = grid_sample_backward(dV, cache.sample, needs=inputs)
        dtheta = self.transform.backward(dgrid, cache.transform)
        dfeatures, dregression = self.regression.backward(
            dtheta, cache.regression, needs={"X", *needs}
        )
        dU_localisation, dlocalisation = self.localisation.backward(
            dfeatures, cache.localisation, needs=needs
        )
        if dU is not None and dU_localisation is not None:
            dU = dU + dU_localisation  # S19
        return dU, {
            **prefixed("localisation", dlocalisation),
            **prefixed("regression", dregression),
        }
