# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11. When training fails
#
# **What you will do.** Make a transformer fail in each of the usual ways, see how the failure looks from outside and from inside, and
# mend it.
#
# **What you will learn.** Why a transformer that has once looked away never looks back; the signs of it; which remedy helps.
#
# **What you need.** [Train the module](10_train_the_module.ipynb).

# %%
import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import nn, transforms, viz
from stnref.data import draw_digits
from stnref.data.distortions import rotate, undistorted
from stnref.experiments.networks import build_network
from stnref.nn.sequential import under
from stnref.training import DataSet, Progress, Recipe, train_epoch, watch

digits = draw_digits(1500, np.random.default_rng(0))
images, angle = rotate(digits.images, np.random.default_rng(1))
data = DataSet(images, digits.labels, digits.angle + angle)

# %% [markdown]
# ## The dead zone
#
# Outside of the picture the sampler reads zero, and so it does a little further on: V does not change when the point moves. A sample
# outside has no gradient. Shift a whole grid to the right, and count the samples that still have one.

# %%
translation = stnref.get_transform("translation", (28, 28))
shifts, alive, outside = np.linspace(0, 3, 31), [], []
for tx in shifts:
    grid, _ = translation.forward(np.array([[tx, 0.003]]))
    V, cache = stnref.grid_sample_forward(images[:1].astype(float), grid)
    _, dgrid = stnref.grid_sample_backward(np.ones_like(V), cache, needs=["grid"])
    alive.append((dgrid != 0).any(axis=-1).mean())
    points, _ = stnref.unnormalize_forward(grid, (28, 28))
    outside.append(stnref.kinks.outside_report(points, (28, 28)).share[0])
assert alive[0] > 0.2
assert alive[-1] == 0
assert outside[-1] == 1

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
viz.plot_image(images[0], ax=axes[0])
viz.plot_grid(translation.forward(np.array([[1.2, 0.0]]))[0][0], (28, 28), ax=axes[0])
axes[0].set(xlim=(-3, 46), facecolor="0.4", title="a shift of 1.2: most of the grid is outside")
axes[1].plot(shifts, 100 * np.array(outside), "C0--", label="outside")
axes[1].plot(shifts, 100 * np.array(alive), "C1", label="with a gradient")
axes[1].set(xlabel="shift (the picture is 2 wide)", ylabel="samples (%)")
axes[1].legend()

# %% [markdown]
# Even at the start only the strokes' edges count, some 30 % of the samples. From a shift of 1.7 on there is none left, and **dtheta is
# exactly zero**: no number of steps brings the grid back. A step that was too long cannot be taken back by the next one.
#
# ## A training that can be watched
#
# The loop is that of the library, with a rate of its own for the transformer (`multiplier`). After each epoch `watch` looks at the
# grids of 200 pictures: the share of samples outside, and the scale of the grid, 1 for the whole picture.


# %%
def build(transform="affine"):
    network = build_network("st-fcn", (28, 28, 1), hidden=16, transform=transform)
    return network, dict(network.init(np.random.default_rng(3)))


# %%
def learn(network, params, *, multiplier=1.0, clip=5.0, epochs=4):
    optimizer = nn.SGD(momentum=0.9)
    recipe = Recipe(epochs, 32, optimizer, 0.1, nn.SCHEDULES["constant"], {"st.": multiplier}, clip)
    progress, rows = Progress(params, optimizer.init(params), np.random.default_rng(0)), []
    for _ in range(epochs):
        *_, last = train_epoch(network, data, undistorted, recipe, progress)
        state = watch(network.layers["st"], images[:200], under("st", progress.params))
        rows.append({"error": last.error, "loss": last.loss, **state._asdict()})
        print(f"error {last.error:4.0%}  loss {last.loss:.2f}  {state.warning or 'looks well'}")
        progress.epoch, progress.batch, progress.loss_sum, progress.wrong = 0, 0, 0.0, 0
    return rows, progress.params


# %% [markdown]
# ## Failure 1: a step too long
#
# The rate 0.1 with momentum is a usual one for the net behind. The transformer's six numbers do not bear it: all samples of a
# picture push at the same theta, so that its gradient is large.

# %%
network, params = build()
collapsed, collapsed_params = learn(network, params)
assert collapsed[-1]["outside"] > 0.99
assert collapsed[-1]["error"] > 0.85

# %% [markdown]
# Within one epoch all samples are outside. The loss stays at log 10 = 2.30, the loss of a net that sees black and guesses: this number
# is the sign to know from outside. From inside, the monitor names it at once, and `stnref train` prints that warning.

# %%
np.testing.assert_allclose(collapsed[-1]["loss"], np.log(10), atol=0.03)
V, cache = network.layers["st"].forward(images[:200], under("st", collapsed_params))
_, gradient = network.layers["st"].backward(np.ones_like(V), cache, needs=("params",))
share = np.mean(
    [
        not (stnref.grid_sample_backward(np.ones_like(V), cache.sample)[1][b]).any()
        for b in range(200)
    ]
)
print(f"{share:.0%} of the pictures give theta no gradient at all")
assert share > 0.9

# %% [markdown]
# ## Failure 2: a start that is none
#
# The last layer of the localisation net begins with weights zero and the identity as bias, and this is no detail. With random
# weights each picture is looked at through another grid, and many through none.

# %%
network, params = build()
shape = params["st.regression.W"].shape
params["st.regression.W"] = np.random.default_rng(0).normal(size=shape).astype(np.float32)
before = watch(network.layers["st"], images[:200], under("st", params))
print("at the start:", before.warning)
random_start, _ = learn(network, params, multiplier=0.1, clip=1.0)
assert before.outside > 0.5
assert random_start[-1]["error"] > 0.5

# %% [markdown]
# The rate here is one that works below; the start alone is to blame.
#
# ## Remedies
#
# - **A smaller rate for the transformer**: a tenth of the net's, here by `multiplier`.
# - **Clipping** the norm of the gradient: no single batch can throw theta far.
# - **Fewer, or bounded, parameters**: a scale that cannot leave [0.5, 1.5] cannot zoom out.
#
# Each alone, then the first two together:

# %%
print("a tenth of the rate")
slow, _ = learn(*build(), multiplier=0.1)
print("clipped at 0.5")
clipped, _ = learn(*build(), clip=0.5)
print("both")
both, both_params = learn(*build(), multiplier=0.1, clip=1.0)
assert all(rows[-1]["outside"] < 0.5 for rows in (slow, clipped, both))
assert both[-1]["error"] < 0.15

# %%
bounds = {0: transforms.bounded(0.5, 1.5), 1: transforms.bounded(-2, 2)}
bounds |= {2: transforms.bounded(-0.3, 0.3), 3: transforms.bounded(-0.3, 0.3)}
window = transforms.constrained(stnref.get_transform("similarity", (28, 28)), bounds)
plain, _ = build()
transformer = plain.layers["st"]
bounded_st = stnref.SpatialTransformer(transformer.localisation, 32, (28, 28), transform=window)
network = nn.Sequential(**{**plain.layers, "st": bounded_st})
print("bounded scale, angle and shift, at the full rate")
bounded, _ = learn(network, dict(network.init(np.random.default_rng(3))), clip=1.0)
assert bounded[-1]["outside"] < 0.5

# %%
runs = {
    "step too long": (collapsed, "C1-o"),
    "random start": (random_start, "C1--s"),
    "a tenth of the rate": (slow, "C0:^"),
    "clipped": (clipped, "C0--v"),
    "both": (both, "C0-o"),
    "bounded": (bounded, "C0-.d"),
}

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
for name, (rows, style) in runs.items():
    for ax, key in zip(axes, ("outside", "error"), strict=True):
        ax.plot(range(1, 5), [100 * row[key] for row in rows], style, label=name)
axes[0].set(xlabel="epoch", ylabel="samples outside (%)", xticks=range(1, 5))
axes[1].set(xlabel="epoch", ylabel="training error (%)", xticks=range(1, 5), ylim=(0, 100))
axes[1].legend(ncols=2, fontsize=8)

# %% [markdown]
# Orange failed, blue did not. On the left it is decided in the first epoch who will learn; on the right the error tells the same a
# good deal later for the mild cases. In a long run it pays to look left.
#
# ## What a collapsed transformer shows

# %%
network, _ = build()
figure, axes = plt.subplots(2, 6, figsize=(9, 3.2), layout="constrained")
for row, own in enumerate((collapsed_params, both_params)):
    V, cache = network.layers["st"].forward(images[:3], under("st", own))
    for k in range(3):
        viz.plot_image(images[k], ax=axes[row, 2 * k])
        viz.plot_grid(cache.grid[k], (28, 28), ax=axes[row, 2 * k])
        axes[row, 2 * k].set(xlim=(-14, 42), ylim=(42, -14), facecolor="0.4")
        viz.plot_image(V[k], ax=axes[row, 2 * k + 1])
axes[0, 0].set_ylabel("collapsed")
axes[1, 0].set_ylabel("learns")

# %% [markdown]
# Pairs of a picture with its grid, and what the net sees. Above, the grids are not even to be seen: they lie beyond the grey, and the
# net sees black. Below, they lie about the digits.
#
# ## Exercises
#
# **1.** Would `padding_mode="border"` save the transformer that looks beside the picture?

# %% [markdown]
# <details><summary>Answer</summary>
#
# No. Beyond the border every sample reads the border's pixel, along that axis V is constant, and the slope is zero as before. Where the
# border is not of one colour there is a slope along the border; digits on black have none. Reflection does give slopes everywhere.
#
# </details>

# %% tags=["hide-cell"]
grid, _ = translation.forward(np.array([[3.0, 0.003]]))
slopes = {}
for padding in ("zeros", "border", "reflection"):
    V, cache = stnref.grid_sample_forward(images[:1].astype(float), grid, padding_mode=padding)
    _, dgrid = stnref.grid_sample_backward(np.ones_like(V), cache, needs=["grid"])
    slopes[padding] = (dgrid[..., 0] != 0).mean()
print(slopes)
assert slopes["zeros"] == slopes["border"] == 0
assert slopes["reflection"] > 0.1

# %% [markdown]
# **2.** Add a penalty $\lambda\,|\theta - \theta_0|^2$ on the distance from the identity to the loss. What does it add to dtheta? Why
# does it help against the dead zone, where the other remedies do not?

# %% [markdown]
# <details><summary>Answer</summary>
#
# It adds $2 \lambda (\theta - \theta_0)$, which does not pass through the sampler and so is not zero outside: it pulls the grid back
# when nothing else does. With rate 0.1 and $\lambda$ = 1 a shift of 3 is inside again, below 2, after two steps.
#
# </details>

# %% tags=["hide-cell"]
tx, steps = 3.0, 0
while tx >= 2:
    tx, steps = tx - 0.1 * 2 * 1.0 * tx, steps + 1
print(steps, tx)
assert steps == 2

# %% [markdown]
# **3.** The weights of the last layer are zero at the start. Why does the localisation net learn all the same?

# %% [markdown]
# <details><summary>Answer</summary>
#
# With W = 0 the gradient that reaches the layers below, dtheta Wᵀ, is zero: in the first step only W and the bias of the last layer
# move. From the second step on W is not zero, and the layers below learn too.
#
# </details>

# %% tags=["hide-cell"]
network, params = build()
st = network.layers["st"]
V, cache = st.forward(images[:32], under("st", params))
_, grads = st.backward(V, cache, needs=("params",))
moved = {name: bool(np.any(gradient)) for name, gradient in grads.items()}
print(moved)
assert [name for name in moved if moved[name]] == ["regression.W", "regression.b"]
