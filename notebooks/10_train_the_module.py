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
# # 10. Train the module
#
# **What you will do.** Build a network with a spatial transformer before it, train it on turned digits in a quarter of a minute, and
# watch how its grids turn, epoch by epoch. Nobody tells it the angles.
#
# **What you will learn.** That a training loop is four lines; what the transformer learns, and how that is measured; which gradient
# pulls at the sampling points.
#
# **What you need.** [The three parts](04_the_three_parts.ipynb) and [backpropagation](05_backpropagation.ipynb).

# %%
import inspect

import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import nn, viz
from stnref.data import draw_digits
from stnref.data.distortions import rotate
from stnref.experiments.networks import build_network
from stnref.nn.sequential import under
from stnref.training import DataSet, evaluate, train

# %% [markdown]
# ## Turned digits
#
# The digits are drawn from strokes, each with its own hand, and turned about the centre by a random angle, up to 90° to either side.
# The task is the digit. The angle is kept for later, to see whether the transformer found it; no loss knows it.


# %%
def turned_digits(count, seed):
    digits = draw_digits(count, np.random.default_rng([seed, 0]))
    images, angle = rotate(digits.images, np.random.default_rng([seed, 1]))
    return DataSet(images, digits.labels, digits.angle + angle)


training, test = turned_digits(3000, seed=0), turned_digits(1000, seed=1)
figure, axes = plt.subplots(1, 10, figsize=(10, 1.4), layout="constrained")
for ax, image, label in zip(axes, training.images, training.labels, strict=False):
    viz.plot_image(image, ax=ax)
    ax.set_title(label)

# %% [markdown]
# Ten pictures of the training set, 28 x 28 pixels, white ink on black, with their labels.
#
# ## The loop
#
# A training loop takes some pictures, runs the network *forward*, asks the *loss* for its gradient, runs the network *backward*, and
# takes a *step* against the gradient. Here it is, as the library has it. What the command `stnref train` runs is the same loop, with
# checkpoints and reports around it.

# %%
source = inspect.getsource(train)
print(source[: source.index('    """')] + source[source.index("    while True") :])

# %% [markdown]
# ## Two networks
#
# The first is a net of two hidden layers of 16 units. The second is the same net behind a spatial transformer, whose
# localisation net reads the picture and predicts three numbers: an angle and a shift. At the start these are zero for every
# picture (zero weights, identity bias), so that the grid is the identity and both nets begin alike.

# %%
networks = {
    "net": build_network("fcn", (28, 28, 1), hidden=16),
    "transformer + net": build_network("st-fcn", (28, 28, 1), hidden=16, transform="rigid"),
}
for name, network in networks.items():
    params = network.init(np.random.default_rng(0))
    print(
        f"{name:18s} {sum(p.size for p in params.values()):6d} parameters: {list(network.layers)}"
    )

# %% [markdown]
# The rate is 0.1 for twelve epochs, and a fifth of that for three more, in which the steps become small enough to settle.


# %%
def trained(network, seed=0):
    """Return the parameters at the start and after each epoch."""
    rng = np.random.default_rng(seed)
    learnt = [network.init(rng)]
    for rate, count in ((0.1, 12), (0.02, 3)):
        epochs = train(network, learnt[-1], training.images, training.labels, rng, rate=rate)
        learnt += [next(epochs).params for _ in range(count)]
    return learnt


# %%
learnt = {name: trained(network) for name, network in networks.items()}
errors = {
    name: [evaluate(network, params, test).error for params in learnt[name]]
    for name, network in networks.items()
}
for name in networks:
    print(f"{name:18s} test error {errors[name][-1]:.1%}")
assert errors["transformer + net"][-1] < 0.75 * errors["net"][-1]
assert errors["transformer + net"][-1] < 0.05

# %%
figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, style in (("net", "C0--o"), ("transformer + net", "C1-s")):
    ax.semilogy(100 * np.array(errors[name]), style, ms=4, label=name)
ax.set(
    xlabel="epoch", ylabel="test error (%)", title="The transformer starts slower and ends lower"
)
ax.set_yticks([5, 10, 20, 50, 90], [5, 10, 20, 50, 90])
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend()

# %% [markdown]
# The transformer has to learn where to look while the net behind it learns what it sees. So it starts slower. In the end the net gets
# digits that stand nearly alike, and 16 units are enough for these.
# Seeds 0 to 3 ended at 6.5, 4.0, 4.4 and 5.3 % without it and at 3.0, 1.7, 1.5 and 2.1 % with it. Another machine rounds otherwise, and
# after a few hundred steps that is as good as another seed.
#
# ## The grids turn
#
# Five pictures of the test set and their sampling grids, at the start and after some epochs. The heavy line is the grid's first row: it
# becomes the top of what the net sees, which is the last column. Grey is outside of the picture, where samples read zero.

# %%
network, epochs = networks["transformer + net"], learnt["transformer + net"]
transformer = network.layers["st"]
chosen = [int(np.flatnonzero(test.labels == label)[0]) for label in (2, 3, 4, 6, 7)]
shown = [0, 1, 2, 4, 8, 15]
figure, axes = plt.subplots(5, len(shown) + 1, figsize=(9, 6.6), layout="constrained")
for column, epoch in enumerate(shown):
    V, cache = transformer.forward(test.images[chosen], under("st", epochs[epoch]))
    axes[0, column].set_title(f"epoch {epoch}")
    for row, picture in enumerate(chosen):
        viz.plot_image(test.images[picture], ax=axes[row, column])
        viz.plot_grid(cache.grid[row], (28, 28), ax=axes[row, column])
        axes[row, column].set(xlim=(-8, 35), ylim=(35, -8), facecolor="0.4")
        viz.plot_image(V[row], ax=axes[row, -1])
axes[0, -1].set_title("what the net sees")

# %% [markdown]
# The same as numbers: the angle that the localisation net predicts for these five digits, epoch by epoch. All begin at zero, the identity.
# With the lower rate, from epoch 12 on, the zigzag ends.

# %%
angles = np.array(
    [
        transformer.forward(test.images[chosen], under("st", params))[1].theta[:, 0]
        for params in epochs
    ]
)  # (epochs, digits)
assert (angles[0] == 0).all()
figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
viz.plot_theta(np.degrees(angles), names=[f"a {test.labels[k]}" for k in chosen], ax=ax)
ax.set(xlabel="epoch", ylabel="angle of the grid (degrees)")

# %% [markdown]
# ## Did it find the angles?
#
# A grid turned by some angle turns the picture back by as much. If all digits of a class came to stand alike, then the angle of the
# grid is that of the digit plus a constant. The constant is free: the net does not mind in which pose it sees the digits, as long as
# it is one.

# %%
from stnref.experiments.alignment import circular_std, grid_angle

_, cache = transformer.forward(test.images, under("st", epochs[-1]))
found = grid_angle(cache.grid)
np.testing.assert_allclose(found, cache.theta[:, 0], atol=1e-5)  # of a rigid theta it is the angle
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained", sharey=True)
for ax, label in zip(axes, (2, 4, 7), strict=True):
    own = test.labels == label
    ax.plot(np.degrees(test.angle[own]), np.degrees(found[own]), ".")
    ax.axline((0, np.degrees(np.median(found[own] - test.angle[own]))), slope=1, color="C1")
    ax.set(xlabel="angle of the digit (degrees)", title=f"digit {label}")
axes[0].set(ylabel="angle of the grid (degrees)")

# %%
before, after = (
    np.degrees([circular_std(angles[test.labels == label]) for label in range(10)])
    for angles in (test.angle, test.angle - found)
)
for label in range(10):
    print(f"digit {label}: scatter {before[label]:4.1f} degrees before, {after[label]:4.1f} after")
assert after.mean() < 0.75 * before.mean()

# %% [markdown]
# Each point is a test picture; the line has slope one. Where the points follow it, the transformer turns those digits upright, or to
# one other pose. Some classes it turns by a part of their angle only, as their scatter tells. It does so as far as the net behind it
# gains by it; the rest of the angle the net bears itself.
#
# ## What pulls at the sampling points
#
# Backward gives the loss's gradient at every sampling point, before these are summed up to the gradient of theta. Take a picture that
# the untrained transformer sees turned, with the trained net behind it: the arrows show the way *down*, where each point would go.

# %%
net = nn.Sequential(**{name: layer for name, layer in network.layers.items() if name != "st"})
own, picture = epochs[-1], chosen[2]
U, label = test.images[[picture]].astype(float), test.labels[[picture]]
grid = stnref.target_grid((28, 28))[None]
V, cache = stnref.grid_sample_forward(U, grid)
logits, net_cache = net.forward(V, own)
_, loss_cache = nn.softmax_cross_entropy_forward(logits, label)
dV, _ = net.backward(nn.softmax_cross_entropy_backward(1.0, loss_cache), net_cache)
_, dgrid = stnref.grid_sample_backward(dV, cache, needs=["grid"])

# %%
angle = np.zeros((1, 3))
theta, theta_cache = stnref.rigid_matrix_forward(angle)
_, grid_cache = stnref.affine_grid_forward(theta, grid[0])
dangle = stnref.rigid_matrix_backward(stnref.affine_grid_backward(dgrid, grid_cache), theta_cache)
figure, ax = plt.subplots(figsize=(5, 5), layout="constrained")
points, _ = stnref.unnormalize_forward(grid[0], (28, 28))
viz.plot_gradient_field(U[0], points, dgrid[0], ax=ax)
turn = "clockwise" if dangle[0, 0] < 0 else "against the clock"
ax.set_title(f"the arrows' sum turns the grid {turn}")
print(
    f"angle of the digit {np.degrees(test.angle[picture]):.0f} degrees, dangle {dangle[0, 0]:.3f}"
)

# %% [markdown]
# Arrows stand on the edges of the strokes only: where the picture is flat, moving a point changes nothing. Most arrows are of little
# use alone. Their sum over the whole grid, weighted as the rotation says, is the gradient of the angle.
#
# ## Exercises
#
# **1.** How much of the work is the loop? Count what it does in an epoch: how often is `forward` called, and how many pictures does
# each call see?

# %% [markdown]
# <details><summary>Answer</summary>
#
# 3000 pictures in batches of 32 are 94 steps, the last of them with 24 pictures. Each step calls forward once and backward once.
#
# </details>

# %% tags=["hide-cell"]
assert (-(-3000 // 32), 3000 - 93 * 32) == (94, 24)

# %% [markdown]
# **2.** The transformer has parameters too. Is the gain due to these alone? Give the net without a transformer as many.

# %% [markdown]
# <details><summary>Answer</summary>
#
# With 51 hidden units the plain net has as many parameters as the transformer and its net together. Its error falls, but on the mean
# over three starts it stays above that of the transformer and its net. So parameters are a part of the gain, and not all of it.
#
# </details>

# %% tags=["hide-cell"]
wide = build_network("fcn", (28, 28, 1), hidden=51)
ends = {
    name: [trained(one, seed)[-1] for seed in range(3)]
    for name, one in (("wide net", wide), ("transformer + net", network))
}
sizes = [sum(p.size for p in some[0].values()) for some in ends.values()]
assert sizes[0] >= sizes[1]
three = {
    name: [evaluate(one, params, test).error for params in ends[name]]
    for name, one in (("wide net", wide), ("transformer + net", network))
}
print(f"{sizes} parameters; test errors {three}")
assert np.mean(three["wide net"]) > np.mean(three["transformer + net"])

# %% [markdown]
# **3.** Why does the transformer not turn all digits upright, to the angle zero?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Nothing asks for it. The loss is the same in any pose that the net has learnt. A constant added to all angles of a class changes the
# picture that the net sees, and it learns that one. Only the scatter counts, and the medians differ from class to class.
#
# </details>

# %% tags=["hide-cell"]
medians = [np.degrees(np.median((found - test.angle)[test.labels == k])) for k in range(10)]
print(np.round(medians))
assert np.ptp(medians) > 10
