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
# # 2. Bilinear interpolation
#
# **What you will do.** Read a signal between its samples, in one dimension and then in two.
#
# **What you will learn.** The hat function, the four weights of a cell in the tutorial's letters and in ours, and what makes this
# rule learnable while the nearest pixel is not.
#
# **What you need.** [Forward and reverse mapping](01_forward_and_reverse_mapping.ipynb).

# %%
import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import viz
from stnref.data import draw_digits

# %% [markdown]
# ## One dimension
#
# Samples at the whole numbers 0, 1, 2, …: what is the value at 2.7? Draw a straight line between the neighbours 2 and 3 and
# read it. The point is 0.7 of the way from 2 to 3, so the right neighbour has the weight 0.7, and the left one 0.3: *each has the
# distance to the other one as its weight*.

# %%
samples = np.array([1.0, 3.0, 2.0, 5.0, 4.0])
x = 2.7
m = int(np.floor(x))  # 2, the left neighbour
f = x - m  # 0.7, the fraction
value = (1 - f) * samples[m] + f * samples[m + 1]
print(round(value, 6))
np.testing.assert_allclose(value, 0.3 * 2 + 0.7 * 5)

# %% [markdown]
# ## The same as a sum over all samples
#
# The paper writes it without asking for neighbours: every sample m has the weight k(x - m), with the *hat*
# $k(t) = \max(0, 1 - |t|)$. It is zero beyond distance 1, so only the two neighbours are left; their weights are
# $k(f) = 1 - f$ and $k(f - 1) = f$, as above.


# %%
def hat(t):
    return np.maximum(0, 1 - np.abs(t))


weights = hat(x - np.arange(5))
print(weights.round(3))
np.testing.assert_allclose(weights @ samples, value)

# %%
t = np.linspace(-0.5, 4.5, 501)
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for m, sample in enumerate(samples):
    ax.plot(t, sample * hat(t - m), color="0.7", lw=1)
ax.plot(t, hat(t[:, None] - np.arange(5)) @ samples, "C0", label="sum of the hats")
ax.plot(np.arange(5), samples, "ko", label="samples")
ax.plot(x, value, "C3o", label=f"value at {x}: {value:.1f}")
ax.set(
    xlabel="x",
    ylim=(-0.2, 6.3),
    title="Each sample lifts a hat; their sum is the line through the samples",
)
ax.legend(ncols=3, loc="upper left")

# %% [markdown]
# ## Why not the nearest sample?
#
# Because it cannot be learnt from. Its slope is zero everywhere, except where it jumps: a small change of x changes nothing, and
# a gradient says nothing. The line has a slope, the difference of the two neighbours, and it tells in which direction to go.

# %%
nearest = samples[np.clip(np.floor(t + 0.5).astype(int), 0, 4)]
line = hat(t[:, None] - np.arange(5)) @ samples
figure, axes = plt.subplots(2, 1, figsize=(7, 4), sharex=True, layout="constrained")
for values, label in ((nearest, "nearest"), (line, "linear")):
    axes[0].plot(t, values, label=label)
    axes[1].plot(t[:-1], np.clip(np.diff(values) / np.diff(t), -6, 6), label=label)
axes[0].set(ylabel="value", title="The nearest sample has no slope to follow")
axes[1].set(ylabel="slope", xlabel="x")
axes[0].legend()

# %% [markdown]
# Where the nearest sample changes, its slope is infinite; the figure cuts it off at 6. To both sides of the samples the two rules go on
# differently here: the nearest sample is repeated, the line falls to zeros. At the samples themselves the slope of the line jumps;
# [backpropagation](05_backpropagation.ipynb) comes back to that.
#
# ## Two dimensions
#
# Do it twice: along x in the upper and in the lower row of the cell, then along y between the two results.

# %%
cell = np.array([[1.0, 3.0], [2.0, 6.0]])  # rows n, n + 1; columns m, m + 1
fx, fy = 0.7, 0.25
upper = (1 - fx) * cell[0, 0] + fx * cell[0, 1]
lower = (1 - fx) * cell[1, 0] + fx * cell[1, 1]
value = (1 - fy) * upper + fy * lower
print(f"upper row {upper:.2f}, lower row {lower:.2f}, value {value:.2f}")

# %% [markdown]
# Multiplied out, each corner has one weight: the area of the rectangle between the point and the *opposite* corner. The areas
# fill the cell, so the weights sum to one: the value is a weighted mean, and never beyond the four.

# %%
w = np.array([[(1 - fy) * (1 - fx), (1 - fy) * fx], [fy * (1 - fx), fy * fx]])
np.testing.assert_allclose((w * cell).sum(), value)
np.testing.assert_allclose(w.sum(), 1)

# %%
figure, ax = plt.subplots(figsize=(4.2, 4.2), layout="constrained")
areas = viz.plot_cell(fx, fy, ax=ax)
ax.set_title("The weight of a corner is the area\nof its own colour, across the point")
drawn = [abs(area.get_width() * area.get_height()) for area in areas]
np.testing.assert_allclose(drawn, w.ravel())

# %% [markdown]
# ## In the tutorial's letters
#
# T. Kurbiel's tutorial measures dx from the point to the *right* border of the cell and dy to the *upper* one. Our fractions are
# measured from the left and from the upper border, so **dx = 1 - fx and dy = fy**, and its four weights are

# %%
dx, dy = 1 - fx, fy
tutorial = np.array([[dx * (1 - dy), (1 - dx) * (1 - dy)], [dx * dy, (1 - dx) * dy]])
print(tutorial)
np.testing.assert_allclose(tutorial, w)

# %% [markdown]
# ## The library
#
# `sample_forward` does this for all points of a grid, all pictures of a batch and all channels. Points are (x, y) in pixels; a
# picture is an array (batch, rows, columns, channels).

# %%
U = cell[None, :, :, None]  # (1, 2, 2, 1)
V, cache = stnref.sample_forward(U, np.array([fx, fy]).reshape(1, 1, 1, 2))
np.testing.assert_allclose(V.item(), value)
surface = np.stack(np.meshgrid(np.linspace(-1, 2, 61), np.linspace(-1, 2, 61)), axis=-1)
V, _ = stnref.sample_forward(U, surface[None])

# %%
figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
drawn = ax.contourf(*np.moveaxis(surface, -1, 0), V[0, :, :, 0], levels=24)
ax.plot([0, 1, 1, 0, 0], [0, 0, 1, 1, 0], "w--", lw=1)
ax.set(aspect="equal", xlabel="x", ylabel="y", title="Four pixels, and the zeros around them")
ax.invert_yaxis()
figure.colorbar(drawn)

# %% [markdown]
# Along x and along y the surface consists of straight lines, but not along a diagonal: *bi*linear is not linear. Outside, the
# picture is continued by zeros; so beyond the outer pixels the value does not break off, it falls to zero within one pixel.

# %%
diagonal = [float(V[0, k, k, 0]) for k in (20, 30, 40)]  # at (0, 0), (1/2, 1/2), (1, 1)
print(diagonal, "the mean of the ends is", (diagonal[0] + diagonal[2]) / 2)
assert abs(diagonal[1] - (diagonal[0] + diagonal[2]) / 2) > 0.4

# %% [markdown]
# ## On a digit
#
# The rule of the nearest pixel shows the pixels themselves; bilinear interpolation draws no edge that is not there.

# %%
digit = draw_digits(1, np.random.default_rng(8), labels=[2], size=14).images
G = stnref.target_grid((200, 200))[None]
smooth = stnref.grid_sample(digit, G)
points, _ = stnref.unnormalize_forward(G, (14, 14))
j, i = np.moveaxis(np.floor(points[0] + 0.5).astype(int), -1, 0)
blocks = digit[0, i, j]
figure, axes = plt.subplots(1, 2, figsize=(7, 3.5), layout="constrained")
viz.plot_image(blocks, ax=axes[0])
viz.plot_image(smooth[0], ax=axes[1])
axes[0].set_title("nearest")
axes[1].set_title("bilinear")

# %% [markdown]
# ## Kernels, and what each reproduces
#
# The hat is one choice of k in the sum over all samples; equation 3 of the paper takes any. Here are some, and below each its slope. The
# cubic kernel has a free number a: its slope at t = 1. "Linear" is the hat.

# %%
rules = {
    "nearest": stnref.kernels.nearest(),
    "linear": stnref.kernels.linear(),
    "cubic, a = -3/4": stnref.kernels.cubic(),
    "cubic, a = -1/2": stnref.kernels.cubic(-0.5),
    "cubic B-spline": stnref.kernels.bspline3(),
}
viz.plot_kernels(rules, figure=plt.figure(figsize=(11, 4), layout="constrained"))

# %% [markdown]
# What is a kernel worth? Take samples of a function that we know, m⁰, m¹, m², and ask for it between them. A kernel *reproduces* the
# function if the answer is right everywhere. (`padding="border"` repeats the last sample beyond the end, so that wide kernels have
# samples to read; at x from 4 to 5 it does not matter.)

# %%
x = np.linspace(4, 5, 101)
points = np.stack([x, 0 * x], axis=-1)[None, None]  # (1, 1, 101, 2), on one row of ten samples
errors = {}
for name, kernel in rules.items():
    for power in range(3):
        row = (np.arange(10.0) ** power).reshape(1, 1, 10, 1)
        V, _ = stnref.sample_forward(row, points, kernel=kernel, padding="border")
        errors[name, power] = np.abs(V.ravel() - x**power).max()
    print(f"{name:16s} farthest off: ", *(f"m^{p}: {errors[name, p]:5.3f}" for p in range(3)))

# %% [markdown]
# All reproduce constants: their weights sum to one. The line also reproduces ramps, and a = -1/2 parabolas too. With a = -3/4, the
# value that PyTorch and ONNX take, the cubic kernel is sharp and smooth and does *not* reproduce a ramp. The B-spline is the smoothest,
# reproduces ramps, and does not go through the samples: of m² it makes x² + 1/3, which is what "it blurs" means.

# %%
exact = {key for key, error in errors.items() if error < 1e-12}
assert {(name, 0) for name in rules} <= exact
assert {("linear", 1), ("cubic, a = -1/2", 1), ("cubic, a = -1/2", 2)} <= exact
assert ("cubic B-spline", 1) in exact
assert ("cubic, a = -3/4", 1) not in exact
np.testing.assert_allclose(V.ravel() - x**2, 1 / 3, atol=1e-12)  # the last one: the B-spline's

# %% [markdown]
# ## Exercises
#
# **1.** At which points do all four weights equal 1/4?

# %% [markdown]
# <details><summary>Answer</summary>
#
# In the middle of each cell: (1 - fx)(1 - fy) = fx fy says fx + fy = 1, and the other two weights say fx = fy.
#
# </details>

# %% tags=["hide-cell"]
half = hat(0.5 - np.arange(2))
np.testing.assert_array_equal(np.outer(half, half), 0.25)

# %% [markdown]
#
# **2.** Replace the hat by a box, `np.abs(t) < 0.5`. Which rule is that?

# %% [markdown]
# <details><summary>Answer</summary>
#
# The nearest sample, but in the middle between two, where the box gives none of them. Equation 4 of the paper takes the right one there.
#
# </details>

# %% tags=["hide-cell"]
box = np.abs(np.array([2.3, 2.7, 2.5])[:, None] - np.arange(5)) < 0.5
assert (box @ samples).tolist() == [samples[2], samples[3], 0]

# %% [markdown]
#
# **3.** How many weights has a cell in three dimensions? Write down the one of the corner (0, 0, 0).

# %% [markdown]
# <details><summary>Answer</summary>
#
# Eight, one for each corner: the product of three factors, here (1 - fx)(1 - fy)(1 - fz).
#
# </details>

# %% tags=["hide-cell"]
corner = np.zeros((1, 2, 2, 2, 1))
corner[0, 0, 0, 0] = 1
V, _ = stnref.sample_forward(corner, np.array([0.7, 0.25, 0.4]).reshape(1, 1, 1, 1, 3))
np.testing.assert_allclose(V.item(), 0.3 * 0.75 * 0.6)
