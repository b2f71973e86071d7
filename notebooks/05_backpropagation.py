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
# # 5. Backpropagation
#
# **What you will do.** Begin with two numbers; take the sampler apart into sums and products, and go back through them one by one;
# then for all samples at once. Follow the gradient on to the grid and through the grid generator to theta; check each step; and let a
# transformer find its theta by gradient descent.
#
# **What you will learn.** Equations 6 and 7 of the paper, what happens at the kinks, the places where the slope
# jumps, and the term of dU that is easily forgotten.
#
# **What you need.** [The three parts](04_the_three_parts.ipynb), and the chain rule. The complete algebra is on the pages
# [grid generator](https://github.com/stnref/stnref/blob/main/docs/derivations/grid_generator.md) and
# [sampler](https://github.com/stnref/stnref/blob/main/docs/derivations/sampler.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import loops, nn, viz
from stnref.data import draw_digits

rng = np.random.default_rng(0)

# %% [markdown]
# ## Numbers
#
# Take two numbers, u = 2 and v = -1, and a loss in three steps: q = u v, h = q + v, L = h². We want to know how L changes with u and
# with v. For every number X of the computation write dX for the derivative of L by X. At the end dL = 1. Then go back, step by step;
# each step multiplies by the derivative of that one step, and knows nothing of the others:

# %%
u, v = 2.0, -1.0
q = u * v
h = q + v
L = h**2

dL = 1.0
dh = dL * 2 * h
dq, dv = dh * 1, dh * 1  # h = q + v
du, dv = dq * v, dv + dq * u  # q = u v; v is used twice, so dv is a sum of two parts

# %% [markdown]
# As a graph: an arrow for each use of a number. Above each number its value, in black; below it, in orange, the gradient that came
# back. Two arrows leave v, and two parts come back: -6 from the sum and -12 from the product.

# %%
places = {"u": (0, 1), "v": (0, 0), "q = u v": (1, 1), "h = q + v": (2, 0.5), "L = h²": (3, 0.5)}
values, gradients = (u, v, q, h, L), (du, dv, dq, dh, dL)
figure, ax = plt.subplots(figsize=(8, 2.8), layout="constrained")
for (name, place), value, gradient in zip(places.items(), values, gradients, strict=True):
    ax.text(*place, name, ha="center", va="center", bbox={"boxstyle": "round", "fc": "0.93"})
    ax.text(place[0], place[1] + 0.2, f"{value:g}", ha="center")
    ax.text(place[0], place[1] - 0.3, f"{gradient:g}", ha="center", color="#d55e00")
edges = ("u", "q = u v"), ("v", "q = u v"), ("v", "h = q + v"), ("q = u v", "h = q + v")
for start, end in (*edges, ("h = q + v", "L = h²")):
    arrow = {"arrowstyle": "->", "shrinkA": 28, "shrinkB": 34, "color": "0.4"}
    ax.annotate("", places[end], places[start], arrowprops=arrow)
ax.set(xlim=(-0.4, 3.5), ylim=(-0.4, 1.35))
ax.set_axis_off()

# %% [markdown]
# Is it right? Move u by a little, and v by a little, and see how L changes. A central difference of a polynomial of second degree is
# exact, up to round-off.


# %%
def loss(u, v):
    return (u * v + v) ** 2


step = 1e-3
np.testing.assert_allclose(du, (loss(u + step, v) - loss(u - step, v)) / (2 * step), rtol=1e-9)
np.testing.assert_allclose(dv, (loss(u, v + step) - loss(u, v - step)) / (2 * step), rtol=1e-9)
print(f"du = {du:g}, dv = {dv:g}")

# %% [markdown]
# ## The sampler in atomic steps
#
# The bilinear sampler is such a graph too. One sample at (x, y), one channel; m and n are the cell's column and row. Every line is
# made of sums and products. So that each intermediate can be asked what it does to V, a number may be *moved* where it is computed.

# %%
cell = np.array([[3.0, 5.0], [4.0, 9.0]])  # U at rows n, n + 1 and columns m, m + 1
m, n = 6, 2


def atomic(**moved):
    """Return every intermediate of the sampler, each moved by what is asked."""
    a = {}
    (U00, U01), (U10, U11) = cell
    leaves = {"x": 6.3, "y": 2.6, "U00": U00, "U01": U01, "U10": U10, "U11": U11}
    a.update({name: value + moved.get(name, 0) for name, value in leaves.items()})
    for name, value in STEPS.items():
        a[name] = value(**a) + moved.get(name, 0)
    return a


# %%
STEPS = {
    "fx": lambda x, **_: x - m,
    "fy": lambda y, **_: y - n,
    "ex": lambda fx, **_: 1 - fx,
    "ey": lambda fy, **_: 1 - fy,
    "upper": lambda ex, fx, U00, U01, **_: ex * U00 + fx * U01,
    "lower": lambda ex, fx, U10, U11, **_: ex * U10 + fx * U11,
    "V": lambda ey, fy, upper, lower, **_: ey * upper + fy * lower,
}
a = atomic()
print({name: round(value, 3) for name, value in a.items()})

# %% [markdown]
# Backward goes through the same lines from the last to the first. A product sends back the other factor; what is used twice is a sum:
# fx stands in upper, in lower and in ex. In `d["fx"]` first the two direct uses are collected, and at the end what comes through
# ex = 1 - fx, with its minus.

# %%
d = {"V": 1.0}
d["ey"], d["upper"] = d["V"] * a["upper"], d["V"] * a["ey"]
d["fy"], d["lower"] = d["V"] * a["lower"], d["V"] * a["fy"]
d["U00"], d["U01"] = d["upper"] * a["ex"], d["upper"] * a["fx"]
d["U10"], d["U11"] = d["lower"] * a["ex"], d["lower"] * a["fx"]
d["ex"] = d["upper"] * a["U00"] + d["lower"] * a["U10"]
d["fx"] = d["upper"] * a["U01"] + d["lower"] * a["U11"]
d["fx"] -= d["ex"]
d["fy"] -= d["ey"]
d["x"], d["y"] = d["fx"], d["fy"]

# %% [markdown]
# Every one of the thirteen gradients, checked by moving that number alone. V is linear in each, so the difference is exact.

# %%
for name, gradient in d.items():
    above, below = atomic(**{name: 0.01})["V"], atomic(**{name: -0.01})["V"]
    np.testing.assert_allclose(gradient, (above - below) / 0.02, rtol=1e-10)
    print(f"d{name:5s} = {gradient:6.3f}")
assert len(d) == 13

# %% [markdown]
# Read two of them. dU00 = (1 - fy)(1 - fx) is the weight with which the pixel was read: backward gives to each pixel the share that
# forward took. And dx = (1 - fy)(U01 - U00) + fy (U11 - U10) is the difference of the columns: the slope of the picture.
#
# ## The same for all samples at once
#
# Now x and y are arrays with an entry for each sample, and so is every intermediate: the lines stay as they are. Two things are new.
# The four corners are *gathered* from the map by their indices; and backward *scatters* to the same indices, where several samples may
# meet, so it has to add.


# %%
def forward(U, x, y):
    m, n = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - m, y - n
    U00, U01, U10, U11 = U[n, m], U[n, m + 1], U[n + 1, m], U[n + 1, m + 1]  # gather
    upper, lower = (1 - fx) * U00 + fx * U01, (1 - fx) * U10 + fx * U11
    return (1 - fy) * upper + fy * lower, (U, m, n, fx, fy, U00, U01, U10, U11)


# %%
def backward(dV, cache):
    U, m, n, fx, fy, U00, U01, U10, U11 = cache
    dU, dupper, dlower = np.zeros_like(U), dV * (1 - fy), dV * fy
    for rows, dvalue in ((n, dupper), (n + 1, dlower)):
        np.add.at(dU, (rows, m), dvalue * (1 - fx))  # scatter: adds where indices repeat
        np.add.at(dU, (rows, m + 1), dvalue * fx)
    dx = dupper * (U01 - U00) + dlower * (U11 - U10)
    dy = dV * ((1 - fx) * (U10 - U00) + fx * (U11 - U01))
    return dU, dx, dy


# %%
U = rng.normal(size=(5, 6))
x, y = rng.uniform(0, 5, 40), rng.uniform(0, 4, 40)  # 40 samples in 20 cells: some meet
V, cache = forward(U, x, y)
dV = rng.normal(size=40)
dU, dx, dy = backward(dV, cache)
points = np.stack([x, y], axis=-1)[None, None]
V_library, library = stnref.sample_forward(U[None, :, :, None], points)
dU_library, dpoints = stnref.sample_backward(dV.reshape(1, 1, 40, 1), library)
np.testing.assert_allclose(V, V_library.ravel(), rtol=1e-12)
np.testing.assert_allclose(dU, dU_library[0, :, :, 0], atol=1e-12)
np.testing.assert_allclose(np.stack([dx, dy], axis=-1), dpoints[0, 0], atol=1e-12)
_, cache = forward(cell, np.array([0.3]), np.array([0.6]))
np.testing.assert_allclose(np.ravel(backward(np.ones(1), cache)[1:]), [d["x"], d["y"]])

# %% [markdown]
# That is the sampler, whole. What the library adds are several pictures and channels, paddings and other kernels, and it writes the
# sums with a kernel, as the paper does. The rest of this notebook reads it in that form.
#
# ## What a backward is
#
# The loss L is a number; for every array X let dX be the array of the derivatives of L by the entries of X. A *backward* gets
# dV, of the output, and returns the gradients of the inputs. It is explicit here: every `f_forward` returns its output and
# a cache, and `f_backward` takes the cache.
#
# ## Step 1: from V to U
#
# Inside a cell V is a weighted mean of four pixels (equation 5),
#
# $$V = \sum_{n,m} U_{nm}\,k(x - m)\,k(y - n), \qquad k(t) = \max(0, 1 - |t|),$$
#
# so the derivative of V by one pixel is that pixel's weight (equation 6). Forward *gathers* with four weights, backward *scatters*
# with the same four. If several samples read one pixel, their parts add up.

# %%
U = rng.normal(size=(1, 4, 5, 1))
points = np.array([[1.3, 1.6], [1.8, 1.2]]).reshape(1, 1, 2, 2)  # two samples, (x, y), one cell
V, cache = stnref.sample_forward(U, points)
dV = np.array([1.0, 10.0]).reshape(V.shape)
dU, dpoints = stnref.sample_backward(dV, cache)
print(dU[0, :, :, 0].round(3))


# %%
def hat(t):
    return np.maximum(0, 1 - np.abs(t))


expected = np.zeros((4, 5))
for (x, y), upstream in zip(points[0, 0], dV[0, 0, :, 0], strict=True):
    for n in range(4):
        for m in range(5):
            expected[n, m] += upstream * hat(x - m) * hat(y - n)  # += : both samples
np.testing.assert_allclose(dU[0, :, :, 0], expected, atol=1e-15)

# %% [markdown]
# ## Step 2: from V to the coordinates
#
# This is the step that makes a transformer learnable. Only the kernel depends on x, so its slope takes its place (equation 7):
#
# $$\frac{\partial V}{\partial x} = \sum_{n,m} U_{nm}\,k'(x - m)\,k(y - n), \qquad
# k'(t) = -1 \text{ for } 0 < t < 1,\ +1 \text{ for } -1 < t < 0,\ 0 \text{ beyond}.$$
#
# For the column m of the cell t is in (0, 1), for m + 1 it is in (-1, 0). So they get the factors -1 and +1: the slope is the
# *difference between the columns*, interpolated along y. If there are several channels, they are summed: a point moves through all of
# them at once.

# %%
x, y = points[0, 0, 0]
fy = y - 1
slope = (1 - fy) * (U[0, 1, 2] - U[0, 1, 1]) + fy * (U[0, 2, 2] - U[0, 2, 1])
np.testing.assert_allclose(dpoints[0, 0, 0, 0], dV[0, 0, 0, 0] * slope[0])
h = 1e-3  # V is linear in x inside the cell, so any step that stays inside is exact
above, below = (stnref.sample_forward(U, points + [s * h, 0])[0][0, 0, 0, 0] for s in (1, -1))
np.testing.assert_allclose(dpoints[0, 0, 0, 0], (above - below) / (2 * h), rtol=1e-10)

# %% [markdown]
# Along a line through the picture, the value and its slope. The slope is constant within a cell and jumps at every pixel.

# %%
row = np.array([3.0, 5.0, 4.0, 9.0, 2.0]).reshape(1, 1, 5, 1)
t = np.linspace(-1.4, 5.4, 681) + 1e-6
line = np.stack([t, 0 * t], axis=-1).reshape(1, 1, -1, 2)
V, cache = stnref.sample_forward(row, line)
_, slopes = stnref.sample_backward(np.ones_like(V), cache)
figure, axes = plt.subplots(2, 1, figsize=(7, 4), sharex=True, layout="constrained")
axes[0].plot(t, V.ravel())
axes[0].plot(np.arange(5), row.ravel(), "ko")
axes[1].plot(t, slopes[0, 0, :, 0], "C1")
axes[0].set(ylabel="V", title="The value is bent at every pixel, so its slope jumps")
axes[1].set(ylabel=r"$\partial V / \partial x$", xlabel="x (pixels)")

# %% [markdown]
# ## At a pixel
#
# At x = 2 there is a slope to the left, 4 - 5 = -1, and one to the right, 9 - 4 = +5, and no derivative. The library takes the right
# one, as PyTorch does. Equation 7, read literally, takes the factors 0, 1, 0 and gives 4, which is neither (a constant picture c,
# with slope 0 on both sides, gets c); and a central difference gives the mean of both slopes, with confidence:

# %%
at_2 = np.array([2.0, 0.0]).reshape(1, 1, 1, 2)
one = np.ones((1, 1, 1, 1))
right = stnref.sample_backward(one, stnref.sample_forward(row, at_2)[1])[1][0, 0, 0, 0]
literal = loops.sample_backward(one, row, at_2, "paper")[1][0, 0, 0, 0]
h = 1e-6
sides = [stnref.sample_forward(row, at_2 + [s * h, 0])[0].item() for s in (1, -1)]
central = (sides[0] - sides[1]) / (2 * h)
print(f"right slope {right}, equation 7 literally {literal}, central difference {central:.6f}")
assert (right, literal) == (5, 4)
np.testing.assert_allclose(central, (5 - 1) / 2, rtol=1e-6)

# %% [markdown]
# This is not an exotic case: with the identity at equal sizes, *where every training starts*, every sample is on a pixel. Whoever
# checks gradients there with finite differences gets errors that are none. Check off the lattice, and know the rule on it.
#
# ## Step 3: to normalised coordinates, and to theta
#
# Points are in pixels and the grid is in [-1, 1]; one unit of the grid is (W - 1)/2 pixels in x and (H - 1)/2 in y. That is
# the derivative of the points by the grid, so by the chain rule dgrid is dpoints times that. (In this step x and y are the coordinates of
# the target pixel, and dgrid has two components, for $x^s$ and for $y^s$.) The grid is linear in theta, grid = theta (x, y, 1): for
# example $\theta_{11}$ stands in $x^s_{ij}$ of every pixel, with the factor $x_{ij}$. So $d\theta_{11}$ is the sum over all pixels of
# the first component of dgrid times $x_{ij}$. All six entries at once:
#
# $$d\theta = \sum_{i,j} d\mathrm{grid}_{ij}\,(x_{ij},\, y_{ij},\, 1).$$

# %%
U = rng.normal(size=(1, 6, 5, 2))
G = stnref.target_grid((4, 3))
theta = np.array([[[0.7, 0.2, 0.05], [-0.1, 0.8, 0.02]]])
grid, grid_cache = stnref.affine_grid_forward(theta, G)
V, cache = stnref.grid_sample_forward(U, grid)
dV = rng.normal(size=V.shape)
dU, dgrid = stnref.grid_sample_backward(dV, cache)
dtheta = stnref.affine_grid_backward(dgrid, grid_cache)
_, dpoints = stnref.sample_backward(dV, cache.sample)
np.testing.assert_allclose(dgrid, dpoints * [(5 - 1) / 2, (6 - 1) / 2])
x_y_1 = np.concatenate([G, np.ones((4, 3, 1))], axis=-1)
np.testing.assert_allclose(dtheta[0], np.einsum("ija,ijk->ak", dgrid[0], x_y_1))

# %% [markdown]
# ## Check the whole chain
#
# Three independent witnesses. The **complex step**: for an f with a Taylor series, f(x + ih) = f(x) + ih f'(x) - h² f''(x)/2 - …, so
# the imaginary part divided by h is f'(x) up to terms with h², without any subtraction, and h = 10⁻¹⁰⁰ gives it to the last digit.
# **Central differences**, with a step that crosses no kink. And the **dot test**: let theta move with the speed `theta_dot`. Then the
# grid moves with some speed `grid_dot`, and V with `V_dot`; they are computed by the functions that end in `_jvp`, each from the speed
# of its input. How fast does L move? By the chain rule the sum of dV times V_dot, and also the sum of dtheta times theta_dot. So these
# two numbers have to agree, for any theta_dot.


# %%
def whole(theta):
    return stnref.grid_sample(U, stnref.affine_grid(theta, G))


for a in range(2):
    for k in range(3):
        step = np.zeros((1, 2, 3), complex)
        step[0, a, k] = 1e-100j
        numeric = (dV * whole(theta + step).imag).sum() / 1e-100
        np.testing.assert_allclose(dtheta[0, a, k], numeric, rtol=1e-12)

# %%
theta_dot = rng.normal(size=theta.shape)
grid_dot = stnref.affine_grid_jvp(theta_dot, grid_cache)
V_dot = stnref.grid_sample_jvp(None, grid_dot, cache)
print((dV * V_dot).sum(), (dtheta * theta_dot).sum())
np.testing.assert_allclose((dV * V_dot).sum(), (dtheta * theta_dot).sum(), rtol=1e-12)

# %% [markdown]
# `check_gradients` asks all of them at once, element by element, with steps that cross no kink; how it knows, and what it says of a
# gradient that is wrong, is told in [checking gradients](09_checking_gradients.ipynb).

# %%
points = rng.integers(0, 4, (1, 2, 3, 2)) + rng.uniform(0.2, 0.8, (1, 2, 3, 2))
report = stnref.check_gradients(
    stnref.sample_forward, stnref.sample_backward, [U, points], names=["U", "points"]
)
print(report)
assert report.ok

# %% [markdown]
# ## The second term
#
# In the module, U goes two ways: it is sampled, and the localisation net reads it to say *where* to sample. So
#
# $$dU = dU_{\text{sampler}} + dU_{\text{localisation net}}.$$
#
# Whoever forgets the second term notices nothing, as long as the transformer stands at the input: there nobody asks for dU. Deep
# inside a network the layers before it learn from a wrong gradient.

# %%
st = stnref.SpatialTransformer(nn.Flatten(), 60, (4, 3))
params = {
    "regression.W": rng.normal(scale=0.02, size=(60, 6)),
    "regression.b": theta.reshape(6),
}
V, cache = st.forward(U, params)
dU, _ = st.backward(dV, cache)
sampler_only, _ = stnref.grid_sample_backward(dV, cache.sample)

# %%
U_dot = rng.normal(size=U.shape)
numeric = (dV * st.forward(U + 1e-100j * U_dot, params)[0].imag).sum() / 1e-100
print("complex step         ", numeric)
print("both terms           ", (dU * U_dot).sum())
print("the sampler's alone  ", (sampler_only * U_dot).sum())
np.testing.assert_allclose((dU * U_dot).sum(), numeric, rtol=1e-10)
assert abs((sampler_only * U_dot).sum() - numeric) > 1e-2

# %% [markdown]
# ## What the gradient is good for
#
# A picture was turned, made smaller and moved by a similarity that we do not know. Starting with the identity, descend the squared
# difference to the original along the gradient of the four parameters, and nothing else. The picture is blurred first: a
# gradient reaches one pixel only, and thin strokes that do not overlap know nothing of each other. It is a 5, in the first picture.

# %%
blurred = draw_digits(1, np.random.default_rng(12), labels=[5]).images.astype(float)
for _ in range(2):
    box = np.full((3, 3, 1, 1), 1 / 9)
    blurred, _ = nn.conv2d_forward(blurred, box, np.zeros(1), padding=1)  # (1, 28, 28, 1)
similarity = stnref.get_transform("similarity", (28, 28))
unknown = np.array([[1.2, 0.4, 0.12, -0.1]])  # scale, angle, tx, ty
moved = stnref.grid_sample(blurred, similarity.forward(unknown)[0])

# %%
params, losses = similarity.identity[None], []
for _ in range(200):
    grid, grid_cache = similarity.forward(params)
    V, cache = stnref.grid_sample_forward(moved, grid)
    losses.append(((V - blurred) ** 2).mean())
    dV = 2 * (V - blurred) / V.size
    _, dgrid = stnref.grid_sample_backward(dV, cache, needs=["grid"])
    params = params - 0.3 * similarity.backward(dgrid, grid_cache)
print(f"mean squared difference {losses[0]:.2e} -> {losses[-1]:.2e}")
assert losses[-1] < 0.05 * losses[0]

# %%
figure, axes = plt.subplots(1, 4, figsize=(10, 2.7), layout="constrained")
pictures = {"original": blurred, "moved, and the grid found": moved, "sampled with it": V}
for ax, (title, picture) in zip(axes, pictures.items(), strict=False):
    viz.plot_image(picture[0] / blurred.max(), ax=ax)
    ax.set_title(title)
viz.plot_grid(grid[0], (28, 28), ax=axes[1])
axes[3].semilogy(losses)
axes[3].set(title="loss", xlabel="step")

# %% [markdown]
# The loss does not go to zero: the moved picture was interpolated once, and is interpolated again on the way back, which blurs it. What
# was found undoes the unknown: the scales multiply to one, and the angles sum to zero, nearly.

# %%
print(f"scale {unknown[0, 0]:.3f} x {params[0, 0]:.3f} = {unknown[0, 0] * params[0, 0]:.3f}")
print(f"angle {unknown[0, 1]:.3f} + {params[0, 1]:.3f} = {unknown[0, 1] + params[0, 1]:.3f}")
np.testing.assert_allclose(unknown[0, 0] * params[0, 0], 1, atol=0.05)
np.testing.assert_allclose(unknown[0, 1] + params[0, 1], 0, atol=0.05)

# %% [markdown]
# ## Exercises
#
# **1.** In step 1, write `expected[n, m] =` for `+=`. Where is the result still right?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Nowhere that is read: both samples read all four pixels of the cell, and the later one overwrites the earlier everywhere. With samples
# in different cells it would be right, so a check with one sample notices nothing.
#
# </details>

# %% tags=["hide-cell"]
x, y = 1.8, 1.2
last = 10 * np.outer(hat(y - np.arange(4)), hat(x - np.arange(5)))
assert (np.abs(last - expected)[expected > 0] > 0).all()

# %% [markdown]
#
# **2.** Leave out the sum over the channels in step 2. For which U does no check notice?

# %% [markdown]
# <details><summary>Answer</summary>
#
# For a U with one channel, and for one whose other channels are flat: what is left out is zero then.
#
# </details>

# %% tags=["hide-cell"]
flat = np.stack([rng.normal(size=(1, 4, 5)), np.ones((1, 4, 5))], axis=-1)
place = np.array([1.3, 1.6]).reshape(1, 1, 1, 2)
_, both = stnref.sample_backward(np.ones((1, 1, 1, 2)), stnref.sample_forward(flat, place)[1])
_, one = stnref.sample_backward(
    np.ones((1, 1, 1, 1)), stnref.sample_forward(flat[..., :1], place)[1]
)
np.testing.assert_allclose(both, one, atol=1e-12)

# %% [markdown]
#
# **3.** Start the descent from an angle of 2. What does it find?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Another minimum, in which the strokes overlap in part: the loss stays well above the one found from the identity. The loss is not
# convex in the angle, and gradient descent goes down from where it stands.
#
# </details>

# %% tags=["hide-cell"]
other = np.array([[1.0, 2.0, 0.0, 0.0]])
for _ in range(200):
    grid, grid_cache = similarity.forward(other)
    V, cache = stnref.grid_sample_forward(moved, grid)
    _, dgrid = stnref.grid_sample_backward(2 * (V - blurred) / V.size, cache, needs=["grid"])
    other = other - 0.3 * similarity.backward(dgrid, grid_cache)
stuck = ((V - blurred) ** 2).mean()
print(f"loss {stuck:.2e}, against {losses[-1]:.2e}; found {other.round(2)}")
assert stuck > 3 * losses[-1]
