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
# # 7. The kinks
#
# **What you will do.** Find the places where bilinear interpolation has no derivative; see what numerical derivatives, four rules and
# a descent make of them; and tell from outside which rule an implementation has.
#
# **What you will learn.** Why the identity, where training starts, consists of such places; why equation 7 of the paper must not be
# read literally; and why training is not hurt.
#
# **What you need.** [Bilinear interpolation](02_bilinear_interpolation.ipynb) and [Backpropagation](05_backpropagation.ipynb). The
# algebra is in [the derivation of the sampler](https://github.com/stnref/stnref/blob/main/docs/derivations/sampler.md), section "At a
# whole number".

# %%
import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import kernels, loops, nn, presets, viz
from stnref.data import draw_digits

RULES = {"right": "C0-", "left": "C1--", "central": "k:", "paper": "k-."}
rng = np.random.default_rng(0)

# %% [markdown]
# ## The kernel is bent
#
# Let U be the input map, with the pixel U_nm in row n and column m, and let V be the value that is read at a point (x, y), in pixels.
# Take a picture of one row, so that y = 0 and only the column matters. Then (equation 5)
#
# $$V(x) = \sum_m U_m\,k(x - m), \qquad k(t) = \max(0, 1 - |t|).$$
#
# The *hat* k has no jump, and so V has none: V is *continuous*. But k is bent at t = -1, 0 and 1, and so V is bent at every pixel.
# Such a bend is a **kink**. To the right of pixel m the slope of V is U_{m+1} - U_m, to the left it is U_m - U_{m-1}. At the pixel the
# slope jumps by the difference of the two,
#
# $$U_{m+1} - 2\,U_m + U_{m-1},$$
#
# which is the *second difference* of the picture. The pixels outside count as zeros, so the row is bent at x = -1 and at x = W too
# (W is the number of columns).


# %%
def on_row(x):
    """Points (x, 0), one for each x."""
    x = np.atleast_1d(x)
    return np.stack([x, np.zeros_like(x)], axis=-1)[None, None]  # (1, 1, P, 2)


def value_and_slope(U, x, **options):
    """V and the derivative of V by x, at the points (x, 0)."""
    V, cache = stnref.sample_forward(U, on_row(x), **options)
    _, dpoints = stnref.sample_backward(np.ones_like(V), cache)
    return V.ravel(), dpoints[0, 0, :, 0]


# %%
row = np.array([3.0, 5.0, 4.0, 9.0, 6.0]).reshape(1, 1, 5, 1)
lines = np.arange(-1.0, 6.0)  # where V may be bent: from -1 to W
hair = 1e-9
V_at, _ = value_and_slope(row, lines)
V_after, after = value_and_slope(row, lines + hair)
V_before, before = value_and_slope(row, lines - hair)
np.testing.assert_allclose(V_after, V_at, atol=1e-8)  # no jump of the value
np.testing.assert_allclose(V_before, V_at, atol=1e-8)
extended = np.pad(row.ravel(), 2)  # U from -2 to W + 1
np.testing.assert_array_equal(after - before, np.diff(extended, n=2))
print("x      ", *(f"{x:4.0f}" for x in lines))
print("jump   ", *(f"{jump:+4.0f}" for jump in after - before))

# %%
t = np.linspace(-1.7, 5.7, 741) + 1e-6  # never on a pixel
V, slope = value_and_slope(row, t)
slope[:-1][np.floor(t[1:]) > np.floor(t[:-1])] = np.nan  # do not join the pieces
figure, axes = plt.subplots(2, 1, figsize=(7.5, 4.6), sharex=True, layout="constrained")
for ax in axes:
    ax.vlines(lines, *((-0.5, 10) if ax is axes[0] else (-7, 6)), color="0.85", lw=1)
axes[0].plot(t, V, "C0")
axes[0].plot(lines, V_at, "ko", ms=5, label="kink")
axes[1].vlines(lines, before, after, color="k", lw=1, ls=":", label="jump")
axes[1].plot(t, slope, "C1")
axes[0].set(ylabel="V", title="The value is continuous, and bent at every grey line")
axes[1].set(ylabel="slope of V (per pixel)", xlabel="x (pixels)", title="The slope jumps there")
axes[0].legend(loc="upper left")
axes[1].legend(loc="upper left")

# %% [markdown]
# Seven grey lines: the five pixels, and one line to each side of them, where the row meets the zeros. The value goes through all of them;
# the slope is constant between two lines and has no value on them, only one to each side.
#
# ## The identity lies on kinks, all of it
#
# How often is a sample on a line? When training starts theta is the identity, and the output mostly has the size of the input. Then
# the sample (i, j) is read exactly at the pixel n = i, m = j. `kink_report` gets the points and the size of the map and counts the
# samples that have a whole x or a whole y.

# %%
H, W = 8, 7
identity = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
for align_corners in (True, False):
    G = stnref.target_grid((H, W), align_corners=align_corners)
    grid = stnref.affine_grid(identity, G)
    points, _ = stnref.unnormalize_forward(grid, (H, W), align_corners=align_corners)
    report = stnref.kink_report(points, (H, W))
    print(f"align_corners={align_corners}:", report)
    assert report.n_kinks == report.n_samples == H * W
    assert report.on_kink.all()  # x and y
    assert (report.distance == 0).all()

# %% [markdown]
# All of them, in x and in y, under both rules for the corners. So what happens on a kink is no matter for specialists: it is the
# very first step of every training.
#
# ## What a central difference reports
#
# To check a gradient one usually compares it with a central difference, c(h) = (V(x + h) - V(x - h)) / (2h), for a small step h. At a
# kink, with the slope s₊ to the right and s₋ to the left, V(x + h) = V + h s₊ and V(x - h) = V - h s₋. So
#
# $$c(h) = \frac{s_+ + s_-}{2},$$
#
# the *mean* of both slopes, whatever h is. That is the trouble: the usual sign of a bad numerical derivative is that it changes with
# h, and this one does not. Take pixel 2 of the row: s₋ = 4 - 5 = -1 and s₊ = 9 - 4 = +5.

# %%
_, backward_at_2 = value_and_slope(row, 2.0)
print(f"backward: {backward_at_2[0]:.0f}")
for h in (1e-1, 1e-3, 1e-5, 1e-7):
    low, at, high = value_and_slope(row, 2 + h * np.array([-1, 0, 1]))[0]
    central, right, left = (high - low) / (2 * h), (high - at) / h, (at - low) / h
    print(f"h = {h:.0e}: central {central:.6f}, right {right:.6f}, left {left:.6f}")
    np.testing.assert_allclose([central, right, left], [2, 5, -1], atol=4e-15 / h)
assert backward_at_2 == 5

# %% [markdown]
# The central difference says 2 and is sure of it, with all its digits. There is no place on this row where the slope is 2. The
# backward says 5, the right slope. Neither is wrong: they answer different questions. The *one-sided* differences in the last two
# columns say what there is to know. (The tolerance is round-off: some 10⁻¹⁵ of V, divided by h.)
#
# The complex step, V(x + ih) with the imaginary part divided by h, is no better informed. It takes the cell of the real part, and so it
# gives whatever the forward does at x, here the right slope again:

# %%
V, _ = stnref.sample_forward(row, on_row(2.0) + [1e-100j, 0])
print(f"complex step: {V.item().imag / 1e-100:.6f}")
np.testing.assert_allclose(V.item().imag / 1e-100, 5, rtol=1e-15)

# %% [markdown]
# ## Four rules
#
# A backward has to return something at a pixel. A *rule* is three numbers: the factors that U_{m-1}, U_m and U_{m+1} get in the slope at
# x = m: what k' is said to be at t = 1, 0 and -1, where it does not exist.
#
# | rule | factors | what it gives | who has it |
# |---|---|---|---|
# | `right` | 0, -1, 1 | the slope to the right | PyTorch, Chainer, MXNet, Lasagne, JAX, and stnref |
# | `left` | -1, 1, 0 | the slope to the left | PyTorch with reflection, in every other period |
# | `central` | -1/2, 0, 1/2 | the mean of both | nobody we know of |
# | `paper` | 0, 1, 0 | U_m | whoever types in equation 7 |
#
# `right` is what one gets by taking the cell floor(x), and it needs the two pixels of that cell only; therefore it is so common.
# `central` needs three.
#
# Equation 7 of the paper gives pixel m the factor 0 if |m - x| ≥ 1, the factor 1 if m ≥ x and the factor -1 if m < x. *Between* two
# pixels that is right. But *at* x = m both neighbours are at the distance 1 and get 0, and the pixel itself has m ≥ x and gets 1.
# What is left is the value of the pixel.

# %%
units = np.eye(3).reshape(3, 1, 1, 3, 1)  # pictures with one pixel 1: they show its factor
for rule in RULES:
    kernel = kernels.linear(lattice=rule)
    factors = np.array([value_and_slope(U, 1.0, kernel=kernel)[1][0] for U in units])
    _, at_2 = value_and_slope(row, 2.0, kernel=kernel)
    _, between = value_and_slope(row, 2.3, kernel=kernel)
    np.testing.assert_allclose(at_2[0], factors @ row.ravel()[1:4])
    np.testing.assert_allclose(between[0], 5)  # off the lattice they are one
    numbers = ", ".join(f"{factor + 0:g}" for factor in factors)
    print(f"{rule:8s} factors {numbers:12s} sum {factors.sum():.0f}   slope at 2: {at_2[0]:4.1f}")

# %% [markdown]
# The sum of the factors decides. A constant picture, all pixels c, has the slope zero everywhere; a rule gives it c times the
# sum of its factors. So the three factors of a slope have to sum to zero, and those of the literal equation 7 sum to 1: a
# constant picture gets the "slope" c. More light gives more gradient, though nothing in the picture has moved.

# %%
pixels = {
    "of the row: 5, 4, 9": [5.0, 4.0, 9.0],
    "a bright one: 5, 14, 9": [5.0, 14.0, 9.0],
    "constant: 4, 4, 4": [4.0, 4.0, 4.0],
}
slopes = {}
for name, three in pixels.items():
    U = np.array(three).reshape(1, 1, 3, 1)
    slopes[name] = {
        rule: value_and_slope(U, 1.0, kernel=kernels.linear(rule))[1][0] for rule in RULES
    }
    print(f"{name:24s}", ", ".join(f"{rule} {s:g}" for rule, s in slopes[name].items()))
constant = slopes["constant: 4, 4, 4"]
assert constant == {"right": 0, "left": 0, "central": 0, "paper": 4}

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True, layout="constrained")
for ax, (name, by_rule) in zip(axes, slopes.items(), strict=True):
    ax.axhspan(*sorted([by_rule["left"], by_rule["right"]]), color="C0", alpha=0.15)
    ax.axhline(0, color="0.6", lw=0.8)
    for side in ("left", "right"):
        ax.axhline(by_rule[side], color="C0", lw=0.8, ls=":")
    for place, (rule, slope) in enumerate(by_rule.items()):
        ax.bar(place, slope, 0.6, color="C1" if rule == "paper" else "C0")
        ax.annotate(f"{slope:.3g}", (place, max(slope, 0) + 0.2), ha="center")
    ax.set_xticks(range(4), list(by_rule))
    ax.set_title(f"pixels {name}", fontsize=10)
axes[0].set(ylabel="slope at the middle pixel (per pixel)", ylim=(-6.5, 16))

# %% [markdown]
# Each panel is one pixel with its neighbours; the blue band reaches from the slope on one side to that on the other. Three rules stay
# in the band. The paper's (orange) is in it by chance on the left, and above it in the middle. On the right the band is the line at
# zero, and the paper's rule gives 4.
#
# ## Which rule has it?
#
# One-sided differences of the *forward* tell which rule a *backward* has, without a look at the code. They give the slopes to both
# sides, hence the mean, and the value of V itself is what the paper's rule would give. Ask at many pixels of a random picture, where
# the four numbers differ. (Not at the outer columns: with zeros outside, the left slope at the first pixel is U_0 - 0, which is
# the paper's number too.)


# %%
def rules_found(forward, backward, U, grid):
    """At how many samples the slope along x is that of each rule."""
    V, cache = forward(U, grid)
    dgrid = backward(np.ones_like(V), cache)[1][..., :1]  # along x
    h = 2.0**-10  # of the grid; a pixel is 2 / (W - 1)
    right = (forward(U, grid + [h, 0])[0] - V) / h
    left = (V - forward(U, grid - [h, 0])[0]) / h
    literal = V * (U.shape[2] - 1) / 2  # per unit of the grid
    expected = {"right": right, "left": left, "central": (right + left) / 2, "paper": literal}
    return {
        rule: int(np.isclose(dgrid, slope, rtol=1e-7).sum()) for rule, slope in expected.items()
    }


# %%
U = rng.normal(size=(1, 28, 28, 1))
grid = stnref.target_grid((28, 28))[None, :, 1:-1]  # 28 rows, 26 inner columns
for rule in RULES:

    def forward(U, grid, rule=rule):
        return stnref.grid_sample_forward(U, grid, mode=kernels.linear(rule))

    found = rules_found(forward, stnref.grid_sample_backward, U, grid)
    print(f"{rule:8s} is found as", found)
    assert found[rule] == sum(found.values()) == 28 * 26

# %% [markdown]
# Each rule is found at all 28 · 26 = 728 samples and is taken for no other. Now a sampler with the rules of PyTorch, and one with the
# loops that are written after the paper's equations.


# %%
def theirs(U, grid):
    return presets.pytorch_grid_sample_forward(U, grid, align_corners=True)


def literal(U, grid):
    points, slope = stnref.coordinates.to_pixels(grid, U.shape[1:3], True)
    return loops.sample(U, points), (U, points, slope)


def literal_backward(dV, cache):
    U, points, slope = cache
    dU, dpoints = loops.sample_backward(dV, U, points, "paper")
    return dU, dpoints * slope


# %%
line = np.linspace(-1, 1, 28)
linspace_grid = np.stack(np.meshgrid(line[1:-1], line), axis=-1)[None]  # up to round-off `grid`
pytorch = rules_found(theirs, presets.pytorch_grid_sample_backward, U, linspace_grid)
ours = rules_found(stnref.grid_sample_forward, stnref.grid_sample_backward, U, linspace_grid)
small, small_grid = U[:, :9, :9], stnref.target_grid((9, 9))[None, :, 1:-1]
equation_7 = rules_found(literal, literal_backward, small, small_grid)
print("PyTorch's rules   ", pytorch)
print("stnref            ", ours)
print("equation 7, 9 x 9 ", equation_7)
assert (pytorch["right"], pytorch["left"]) == (728 - 3 * 28, 3 * 28)
assert ours["right"] == 728
assert equation_7 == {"right": 0, "left": 0, "central": 0, "paper": 63}

# %% [markdown]
# With PyTorch's rules three columns of 28 samples have the slope to the *left*. Their rule is the right one; but the grid was made by
# `linspace` and the pixels by the plain formula (g + 1)/2 · (W - 1), and in these columns round-off ends a little below the whole
# number, in the cell to the left. It is a slope of one side all the same, and no harm is done; only, two correct implementations
# differ there by as much as the picture does. stnref, on the same grid, brings what is so near to a whole number exactly onto it.
#
# ## The loss has creases
#
# One sample has one kink in x and one in y. A shift theta = (tx, ty) moves all samples at once: whenever tx is a whole number of pixels
# *all* of them cross a line together. So the loss L(tx, ty) is bent along whole lines: it has *creases*. Let L be the mean squared
# difference of V and a target picture T, and dV the gradient of L by V. At a crease the slope of L jumps by the sum of all jumps,
#
# $$\sum_{i,j} dV_{ij}\,(U_{n,m+1} - 2\,U_{nm} + U_{n,m-1}), \qquad n = i + t_y,\quad m = j + t_x .$$
#
# T is the picture shifted by (0.6, -0.4) pixels. The shift is to be found again.

# %%
size = 8
noise = rng.uniform(size=(1, size, size, 1))
box, bias = np.full((3, 3, 1, 1), 1 / 9), np.zeros(1)
smooth, _ = nn.conv2d_forward(noise, box, bias, padding=1)
smooth, _ = nn.conv2d_forward(smooth, box, bias, padding=1)
pixel = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)[None].astype(float)


def shift_loss(U, tx, ty):
    """L, and its derivative by tx, for shifts in pixels."""
    T, _ = stnref.sample_forward(U, pixel + [0.6, -0.4])
    V, cache = stnref.sample_forward(U, pixel + [tx, ty])
    _, dpoints = stnref.sample_backward(2 * (V - T) / V.size, cache, needs=["points"])
    return ((V - T) ** 2).mean(), dpoints[..., 0].sum()


# %%
after, before = (shift_loss(noise, s * hair, 0.0)[1] for s in (1, -1))
T, _ = stnref.sample_forward(noise, pixel + [0.6, -0.4])
dV = 2 * (noise - T) / T.size  # at no shift V is U
second_difference = np.diff(np.pad(noise[0, :, :, 0], ((0, 0), (1, 1))), n=2, axis=1)
jump = (dV[0, :, :, 0] * second_difference).sum()
print(f"slope of L by tx: {before:.5f} to the left of 0, {after:.5f} to the right")
np.testing.assert_allclose(after - before, jump, rtol=1e-6)

# %%
t = np.linspace(-1.6, 1.6, 97) + 1e-6
maps = {
    name: np.array([[shift_loss(U, tx, ty) for tx in t] for ty in t])  # (ty, tx, 2)
    for name, U in (("noise", noise), ("noise, blurred", smooth))
}
cut = 36  # the row of the maps with ty = -0.4
print(f"cut at ty = {t[cut]:.2f}")

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
for ax, (name, both), style in zip(axes, maps.items(), ("C0", "C1--"), strict=False):
    loss = both[..., 0] / both[..., 0].max()
    ax.contourf(t, t, loss, levels=20, cmap="viridis")
    ax.contour(t, t, loss, levels=20, colors="w", linewidths=0.5)
    ax.plot(0.6, -0.4, "k*", ms=12, mfc="w")
    ax.set(aspect="equal", xlabel="tx (pixels)", ylabel="ty (pixels)", title=f"loss, {name}")
    slope = both[cut, :, 1] / np.abs(both[cut, :, 1]).max()
    slope[:-1][np.floor(t[1:]) > np.floor(t[:-1])] = np.nan
    axes[2].plot(t, slope, style, label=name)
axes[2].axhline(0, color="0.6", lw=0.8)
axes[2].set(xlabel="tx (pixels)", ylabel="slope by tx (largest = 1)", title="slope at ty = -0.4")
axes[2].legend()

# %% [markdown]
# White lines are lines of equal loss (dark is small), and the star is the shift that is sought. On the left they have corners along
# tx, ty = -1, 0 and 1: those are the creases. They point *up*: a picture of noise that is read between the pixels is blurred, and the
# blur makes it differ less from T. The blurred picture in the middle has small second differences: its creases are hard to see, and
# there is one valley. The right panel shows the slope along a cut; it jumps at whole shifts, much for the noise and little for the
# blurred picture.
#
# ## Training is not hurt
#
# ### Off the start, nobody is on a kink
#
# The lines of the lattice are thin: a point that is drawn at random is on one with probability zero. Draw a thousand thetas near the
# identity and count, exactly and with float32 numbers, which are coarser.

# %%
thetas = identity + rng.normal(scale=0.1, size=(1000, 2, 3))
for dtype in (np.float64, np.float32):
    G = stnref.target_grid((28, 28), dtype=dtype)
    grid = stnref.affine_grid(thetas.astype(dtype), G)
    points, _ = stnref.unnormalize_forward(grid, (28, 28))
    report = stnref.kink_report(points, (28, 28), tol=0)
    print(f"{dtype.__name__}: {report.n_kinks} of {report.n_samples} samples exactly on a line")
    if dtype is np.float64:
        assert report.n_kinks == 0
    assert report.n_kinks < 1e-4 * report.n_samples

# %% [markdown]
# So the rule acts in the first step, and practically never after it.
#
# ### In the first step a subgradient is enough
#
# What do the rules give for theta? Compare dtheta at the identity with dtheta a hair beside it, where no sample is on a kink and the
# gradient is an ordinary one. Beside means: all samples moved by a billionth to the right and down, or to the left and up.

# %%
picture = draw_digits(1, np.random.default_rng(12), labels=[5]).images.astype(float)
for _ in range(2):
    box = np.full((7, 7, 1, 1), 1 / 49)
    picture, _ = nn.conv2d_forward(picture, box, np.zeros(1), padding=3)
picture = picture / picture.max()  # smooth, from 0 to 1
G = stnref.target_grid((28, 28))
unknown = np.array([[[1.1, -0.2, 0.15], [0.2, 0.9, -0.1]]])
target = stnref.grid_sample(picture, stnref.affine_grid(unknown, G), padding_mode="border")


# %%
def loss_and_dtheta(theta, rule, light=0.0):
    """The loss, dtheta, and how many samples lie on kinks; `light` is added to both pictures."""
    grid, grid_cache = stnref.affine_grid_forward(theta, G)
    kernel = kernels.linear(rule)
    V, cache = stnref.grid_sample_forward(picture + light, grid, mode=kernel, padding_mode="border")
    difference = V - (target + light)
    dV = 2 * difference / V.size
    _, dgrid = stnref.grid_sample_backward(dV, cache, needs=["grid"])
    points, _ = stnref.unnormalize_forward(grid, (28, 28))
    kinks = stnref.kink_report(points, (28, 28), padding="border").n_kinks
    return (difference**2).mean(), stnref.affine_grid_backward(dgrid, grid_cache), kinks


# %%
at = {rule: loss_and_dtheta(identity, rule)[1] for rule in RULES}
beside = {"right": identity.copy(), "left": identity.copy()}
beside["right"][..., 2] += hair
beside["left"][..., 2] -= hair
for rule, theta in beside.items():
    _, ordinary, kinks = loss_and_dtheta(theta, "right")
    assert kinks == 0
    np.testing.assert_allclose(at[rule], ordinary, rtol=1e-5)
np.testing.assert_allclose(at["central"], (at["right"] + at["left"]) / 2, rtol=1e-12)
for rule, dtheta in at.items():
    print(f"{rule:8s}", dtheta.ravel().round(4))
assert (np.sign(at["paper"]) != np.sign(at["right"])).sum() == 5
assert 4 < np.linalg.norm(at["paper"]) / np.linalg.norm(at["right"]) < 4.5

# %% [markdown]
# `right` is the gradient on one side of the identity and `left` the one on the other, and `central` is their mean. The gradients at
# places arbitrarily near, and their means, are called *subgradients* (of Clarke; for a convex function they are the usual ones). On a
# smooth picture they hardly differ, and each is good for a step downhill. The paper's numbers are something else: here five of six
# have another sign, and they are four times as large.
#
# Now descend from the identity with each rule, on the same picture twice: as it is, and with light, the number 1, added to it and to the
# target. The light changes no difference and no slope.

# %%
histories, last = {}, {}
for light in (0.0, 1.0):
    for rule in RULES:
        theta, history = identity, []
        for _ in range(300):
            loss, dtheta, kinks = loss_and_dtheta(theta, rule, light)
            history.append((loss, kinks))
            theta = theta - 0.5 * dtheta
        histories[rule, light], last[rule, light] = np.array(history), theta

# %%
print("                 loss at step 0       1     299   samples on kinks at steps 0, 1, and after")
for (rule, light), history in histories.items():
    loss, kinks = history.T
    print(f"{rule:8s} light {light:.0f}: {loss[0]:11.5f} {loss[1]:7.5f} {loss[-1]:7.5f}", end="   ")
    print(*kinks[:2].astype(int), int(kinks[2:].sum()))
    assert kinks[0] == 784
    assert (loss[1] < loss[0]) == (rule != "paper")
    if rule != "paper":
        assert loss[-1] < 0.01 * loss[0]
for rule in ("right", "left", "central"):
    np.testing.assert_allclose(last[rule, 1.0], last[rule, 0.0], atol=1e-9)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True, layout="constrained")
for (rule, light), history in histories.items():
    axes[int(light)].loglog(np.arange(1, 301), history[:, 0], RULES[rule], label=rule)
axes[0].set(ylabel="mean squared difference", title="the picture as it is")
axes[1].set(title="the same with light: 1 added everywhere")
for ax in axes:
    ax.set(xlabel="step (the identity is 1)")
axes[0].legend()

# %% [markdown]
# The curves of `right`, `left` and `central` lie on top of one another in both panels: the rule does not matter, as long as it is one
# of a slope. The paper's rule jumps up in its one step on kinks, the more the lighter the picture is. After that it has the same
# gradient as the others; it only has to come back from a worse place.
#
# ## A grid that is turned a little
#
# "Not on a kink" may still mean "near to one". `distance` of the report has for each coordinate how far, in pixels, the next line of the
# lattice is. Here the grid of a 21 x 21 picture is turned by 4 degrees about its centre.

# %%
rigid = stnref.get_transform("rigid", (21, 21))
grid, _ = rigid.forward(np.array([[np.deg2rad(4), 0.0, 0.0]]))
points, _ = stnref.unnormalize_forward(grid, (21, 21))
report = stnref.kink_report(points, (21, 21))
print(report)
assert report.on_kink[0, 10, 10].all()
assert report.n_kinks == 1
near = (report.distance < 1e-2).any(axis=-1)
print(f"nearer than a hundredth of a pixel: {near.sum()} of {near.size}")

# %%
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.5), layout="constrained")
axes[0].vlines(np.arange(21), 0, 20, color="0.8", lw=0.8)
axes[0].hlines(np.arange(21), 0, 20, color="0.8", lw=0.8)
viz.plot_grid(grid[0], (21, 21), lines=21, ax=axes[0])
axes[0].set(aspect="equal", xlim=(-2, 22), ylim=(22, -2), xlabel="x (pixels)", ylabel="y (pixels)")
axes[0].set_title("the lattice (grey), the grid")
for ax, k in zip(axes[1:], (0, 1), strict=True):
    drawn = ax.imshow(report.distance[0, ..., k], cmap="viridis", vmin=0, vmax=0.5)
    i, j = np.nonzero(report.on_kink[0, ..., k])
    ax.plot(j, i, "wo", ms=9, mfc="none")
    ax.set(xlabel="j", ylabel="i", title=f"distance of {'xy'[k]} to a line")
figure.colorbar(drawn, ax=axes[1:], label="pixels", shrink=0.8)

# %% [markdown]
# On the left the grid slowly crosses the grey lines. Where it does, the maps have dark bands: the samples there are near to a line,
# in x in the middle panel and in y on the right. Only the centre, with the white ring, is on one: the turn does not move it. A finite
# difference whose step is longer than the distance looks across the kink, so in the dark bands the step has to be small.
#
# ## Kernels without kinks
#
# The kinks belong to the hat. The cubic kernel is made such that its slope is continuous, and so is the cubic B-spline's. The nearest
# pixel has the opposite trouble: V itself jumps, half way between pixels, and the slope is zero wherever there is one.

# %%
at_pixels, halves = np.arange(1.0, 4.0), np.arange(0.5, 4.0)
names = ("nearest", "linear", "cubic", "bspline3")
print("largest jump       of V at a half     of the slope at a pixel")
for name in names:
    beyond, short = (value_and_slope(row, halves + s * hair, kernel=name)[0] for s in (1, -1))
    after, before = (value_and_slope(row, at_pixels + s * hair, kernel=name)[1] for s in (1, -1))
    jump_V, jump_slope = np.abs(beyond - short).max(), np.abs(after - before).max()
    print(f"{name:9s} {jump_V:20.7f} {jump_slope:20.7f}")
    assert (jump_V > 1) == (name == "nearest")
    assert (jump_slope > 1) == (name == "linear")
    assert min(jump_V, jump_slope) < 1e-6

# %%
t = np.linspace(-0.49, 4.49, 997) + 1e-6
figure, axes = plt.subplots(2, 1, figsize=(8, 5.2), sharex=True, layout="constrained")
for name, style in zip(names, ("0.6", "C0", "C1--", "k:"), strict=True):
    V, slope = value_and_slope(row, t, kernel=name)
    slope[:-1][(np.floor(t[1:]) > np.floor(t[:-1])) & (name == "linear")] = np.nan
    V[:-1][(np.rint(t[1:]) > np.rint(t[:-1])) & (name == "nearest")] = np.nan
    axes[0].plot(t, V, style, label=name)
    axes[1].plot(t, slope, style)
axes[0].plot(np.arange(5), row.ravel(), "ko", ms=5)
axes[0].set(ylabel="V", title="nearest jumps, linear is bent, the cubic ones are smooth")
axes[1].set(ylabel="slope of V (per pixel)", xlabel="x (pixels)")
axes[0].legend(ncols=4, loc="upper left", fontsize=9)
axes[0].set_ylim(1, 12)

# %% [markdown]
# Above, the grey line has steps and the blue one corners; the orange and the black one are smooth. Below, only the blue slope jumps,
# and the grey one is zero. Nothing is for free: the cubic kernel reads four pixels along each axis and overshoots, and the B-spline
# misses the dots, for it blurs. With a smooth kernel the central difference is right at a pixel too. With the B-spline its error goes
# down with h², as it should. With the cubic kernel it goes down with h only: its second derivative jumps at a pixel, and of
# V(2 + h) - V(2 - h) the half of that jump times h²/2 is left.

# %%
for name in ("cubic", "bspline3"):
    _, exact = value_and_slope(row, 2.0, kernel=name)
    for h in (1e-2, 1e-3):
        low, high = value_and_slope(row, 2 + h * np.array([-1, 1]), kernel=name)[0]
        error = abs((high - low) / (2 * h) - exact[0])
        print(f"{name:9s} slope {exact[0]:.3f}, h = {h:.0e}: error {error:.1e}")
        assert error < (2 * h if name == "cubic" else 20 * h**2)

# %% [markdown]
# ## At the border
#
# Outside, a *padding* says what U is, and the rule for the jump stays the same: the second difference of the row as it goes on. So
# the padding decides which lines outside are kinks. With zeros the last ones are at -1 and W. With the border's pixel repeated V is
# constant outside, and the last ones are at 0 and W - 1. A reflection bends V at the fold, and so on for ever.

# %%
row = row[:, :, :4]  # 3 5 4 9, W = 4
lines = np.arange(-3.0, 7.0)
goes_on = {  # from -4 to 7
    "zeros": [0, 0, 0, 0, 3, 5, 4, 9, 0, 0, 0, 0],
    "border": [3, 3, 3, 3, 3, 5, 4, 9, 9, 9, 9, 9],
    "reflection_centres": [4, 9, 4, 5, 3, 5, 4, 9, 4, 5, 3, 5],
}
print("x                 ", *(f"{x:4.0f}" for x in lines))
for padding, numbers in goes_on.items():
    after, before = (value_and_slope(row, lines + s * hair, padding=padding)[1] for s in (1, -1))
    np.testing.assert_array_equal(after - before, np.diff(numbers, n=2))
    print(f"{padding:18s}", *(f"{jump:+4.0f}" if jump else "   ." for jump in after - before))

# %%
t = np.linspace(-3.4, 6.4, 981)
figure, axes = plt.subplots(1, 3, figsize=(11, 2.9), sharey=True, layout="constrained")
for ax, padding in zip(axes, goes_on, strict=True):
    after, before = (value_and_slope(row, lines + s * hair, padding=padding)[1] for s in (1, -1))
    bent = lines[after != before]
    ax.axvspan(0, 3, color="0.92")
    ax.plot(t, value_and_slope(row, t, padding=padding)[0], "C0")
    ax.plot(bent, value_and_slope(row, bent, padding=padding)[0], "C1o")
    ax.set(title=padding, xlabel="x (pixels)")
axes[0].set_ylabel("V")

# %% [markdown]
# The grey span is the picture, and the dots are kinks. Left, the zeros: one more kink on each side, then silence. In the middle, the
# border: none outside. Right, the reflection: kinks everywhere, and at the folds 0 and 3 the slope turns its sign.
#
# `kink_report` takes the padding and counts accordingly. The kink at the border is where implementations differ: with `border`,
# PyTorch moves the *coordinate* into the picture, and takes the slope zero at x = 0 already; stnref takes the right one, U_1 - U_0.
# Both are between the slopes to both sides.

# %%
outside = on_row([-1.0, -2.0])
outside[..., 1] = 0.5  # between two rows, so that y is on no line
for padding, expected in (("zeros", 1), ("border", 0), ("reflection_centres", 2)):
    report = stnref.kink_report(outside, (2, 4), padding=padding)
    print(f"x = -1 and -2, {padding:18s}: {report.n_kinks} on a kink")
    assert report.n_kinks == expected
at_0 = np.array([[[[-1.0, 0.0]]]])  # normalised: the first pixel
V, cache = presets.pytorch_grid_sample_forward(row, at_0, padding_mode="border", align_corners=True)
pytorch = presets.pytorch_grid_sample_backward(np.ones_like(V), cache)[1][0, 0, 0, 0]
_, ours = value_and_slope(row, 0.0, padding="border")
print(f"slope at x = 0 with border: PyTorch's rule {pytorch:.0f}, ours {ours[0]:.0f}")
assert (pytorch, ours[0]) == (0, 2)

# %% [markdown]
# ## What `check_gradients` does with kinks
#
# It does not shrink from them, and it widens no tolerance. It looks at the *difference* of the two one-sided slopes: of a smooth
# function it goes down with h, at a kink it stays. Elements where it stays are marked as `kinked`, and there the backward has to lie
# between the slopes to both sides, output by output. Let it judge the whole way from theta to V, at the identity, with each rule.

# %%
U = rng.normal(size=(1, 5, 4, 2))
G = stnref.target_grid((5, 4))


# %%
def chain(rule):
    """forward and backward from theta to V."""

    def forward(theta):
        grid, grid_cache = stnref.affine_grid_forward(theta, G)
        V, cache = stnref.grid_sample_forward(U, grid, mode=kernels.linear(rule))
        return V, (grid_cache, cache)

    def backward(dV, caches):
        _, dgrid = stnref.grid_sample_backward(dV, caches[1])
        return stnref.affine_grid_backward(dgrid, caches[0])

    return forward, backward


# %%
reports = {
    rule: stnref.check_gradients(*chain(rule), [identity], names=["theta"]) for rule in RULES
}
for rule, report in reports.items():
    print(f"{rule:8s} ok: {report.ok!s:6s} findings: {[f.cause for f in report.findings]}")
    assert report.inputs[0].kinked.all()
    assert report.ok == (rule != "paper")
print("\n" + str(reports["right"]))

# %% [markdown]
# Three rules pass, and the note at the end says what the pass is worth: all six elements of theta are on a kink, and are judged by
# the slopes. (A sum over many samples has wide limits; the check looks at each output by itself, where they are narrow.) Of the
# paper's rule it says:

# %%
(finding,) = reports["paper"].findings
print(finding)
assert finding.cause == "kink"

# %% [markdown]
# It has noticed that the same backward is right a little beside the kinks. That is the name for what we have seen: right, but for the
# elements on a kink. The limits can be looked at, too. For the points themselves, at the pixels of the first row:

# %%
points, _ = stnref.unnormalize_forward(stnref.target_grid((5, 4))[None], (5, 4))
report = stnref.check_gradients(
    stnref.sample_forward, stnref.sample_backward, [U, points], names=["U", "points"]
)
assert report.ok
result = report.inputs[1]
print("slopes by x    from      to   backward")
for j in range(4):
    low, high, ours = (a[0, 0, j, 0] for a in (result.below, result.above, result.gradient))
    print(f"(0, {j})     {low:8.4f} {high:8.4f}   {ours:8.4f}")
    assert low - 1e-9 <= ours <= high + 1e-9

# %% [markdown]
# There is more on this check, and on what others make of the same points, in [Checking gradients](09_checking_gradients.ipynb).
#
# **To take with you.** The value is continuous and the slope jumps by the second difference. The identity lies on kinks. A central
# difference gives the mean there; one-sided ones give the truth. Any number between the two slopes will do, and U_m is none. Check
# gradients off the lattice, and know your rule on it.
#
# ## Exercises
#
# **1.** For which pictures has bilinear interpolation no kinks inside of the picture? What does the paper's rule give for such a picture?

# %% [markdown]
# <details><summary>Answer</summary>
#
# The second differences along rows and along columns have to be zero. So every row and every column is a straight line, which makes
# U_nm = a + b m + c n + d m n: a *ramp*, with a twist if d is not zero. There V is that polynomial itself, so its slope by x is b + d
# n everywhere inside. The paper's rule gives U_nm at a pixel, which has nothing to do with b + d n. (At the picture's outer pixels
# the zeros outside make kinks again.)
#
# </details>

# %% tags=["hide-cell"]
n, m = np.mgrid[:6, :7]
ramp = (2 + 0.5 * m - 0.3 * n + 0.1 * m * n).reshape(1, 6, 7, 1)
inner = np.stack(np.meshgrid(np.arange(1.0, 6), np.arange(1.0, 5)), axis=-1)[None]
for rule in RULES:
    V, cache = stnref.sample_forward(ramp, inner, kernel=kernels.linear(rule))
    _, dpoints = stnref.sample_backward(np.ones_like(V), cache)
    expected = ramp[:, 1:5, 1:6, 0] if rule == "paper" else 0.5 + 0.1 * inner[..., 1]
    np.testing.assert_allclose(dpoints[..., 0], expected, atol=1e-13)
    print(f"{rule:8s} slope by x in the inner rows:", dpoints[0, :, 0, 0].round(3))

# %% [markdown]
# **2.** Which affine thetas, other than the identity, put *every* sample of a 9 x 9 picture on a kink? And how many samples are on
# one with a scale of 1/2, theta = [[1/2, 0, 0], [0, 1/2, 0]]?

# %% [markdown]
# <details><summary>Answer</summary>
#
# A whole x *or* a whole y is enough for a kink. All samples have whole coordinates if theta is a mirror image, a quarter turn, a
# shift by whole pixels (one pixel is 2/8 of the grid), or some of these together. If one coordinate is whole everywhere, the other
# one is free: a shift by (0.4, 0) pixels leaves every sample on a kink in y.
#
# With the scale 1/2 the coordinates are 4 + (j - 4)/2, for j from 0 to 8: five are whole, four are halves. A sample is on no kink
# only if both of its coordinates are halves, and these are 4 · 4 = 16 of 81. So 65 are on a kink.
#
# </details>

# %% tags=["hide-cell"]
thetas = {
    "mirror": [[-1, 0, 0], [0, 1, 0]],
    "quarter turn": [[0, -1, 0], [1, 0, 0]],
    "shift by (1, -2) pixels": [[1, 0, 2 / 8], [0, 1, -4 / 8]],
    "shift by (0.4, 0) pixels": [[1, 0, 0.8 / 8], [0, 1, 0]],
    "scale 1/2": [[0.5, 0, 0], [0, 0.5, 0]],
}
for name, theta in thetas.items():
    grid = stnref.affine_grid(np.array([theta], dtype=float), stnref.target_grid((9, 9)))
    points, _ = stnref.unnormalize_forward(grid, (9, 9))
    report = stnref.kink_report(points, (9, 9), padding="reflection_centres")
    print(f"{name:25s} {report.n_kinks} of {report.n_samples}")
    assert report.n_kinks == (65 if name == "scale 1/2" else 81)

# %% [markdown]
# **3.** Let theta be a scale s in x: x moves away from the centre as s grows. Is dL/ds of the rule `right`, at s = 1, the slope of L
# to the right of s = 1? If not, which rule at each pixel gives it?

# %% [markdown]
# <details><summary>Answer</summary>
#
# No. As s grows, the samples to the right of the centre move right, and those to the left of it move *left*. So the slope of L to the
# right of s = 1 takes the right slope at the former and the left slope at the latter; the slope to the left of s = 1 takes the other
# ones. `right` takes the right slope everywhere: it is a subgradient (a gradient at a place near, where the grid is also moved a
# little to the right), but no one-sided slope along s. A shift in x moves all samples to one side, and there `right` is the slope to
# the right.
#
# </details>

# %% tags=["hide-cell"]
U, T = rng.uniform(size=(2, 1, 7, 8, 1))
grid = stnref.target_grid((7, 8))[None]
V, _ = stnref.grid_sample_forward(U, grid)
dV, x = 2 * (V - T) / V.size, grid[..., 0]  # the derivative of the grid's x by s is x
by_rule = {}
for rule in ("right", "left"):
    _, cache = stnref.grid_sample_forward(U, grid, mode=kernels.linear(rule))
    by_rule[rule] = stnref.grid_sample_backward(dV, cache)[1][..., 0] * x
V_after, _ = stnref.grid_sample_forward(U, grid * [1 + 1e-7, 1])
one_sided = (((V_after - T) ** 2).mean() - ((V - T) ** 2).mean()) / 1e-7
outwards = np.where(x > 0, by_rule["right"], by_rule["left"]).sum()
print(f"to the right {one_sided:.5f}, by sides {outwards:.5f}, right {by_rule['right'].sum():.5f}")
np.testing.assert_allclose(outwards, one_sided, atol=1e-5)
assert abs(by_rule["right"].sum() - one_sided) > 1e-2

# %% [markdown]
# **4.** A transformer makes a 14 x 14 output from a 28 x 28 map. How many samples of the identity are on kinks with aligned corners,
# and how many with `align_corners=False`? Compute it by hand first.

# %% [markdown]
# <details><summary>Answer</summary>
#
# With aligned corners x = 27 j / 13, which is whole for j = 0 and j = 13 only: the outer rows and columns, 14² - 12² = 52 samples of
# 196. With outer edges x = 2 j + 1/2: always a half, in the middle of a cell, and no sample is on a kink. V there is the mean of four
# pixels, an average pooling. Who needs a start without kinks has one.
#
# </details>

# %% tags=["hide-cell"]
for align_corners, expected in ((True, 52), (False, 0)):
    G = stnref.target_grid((14, 14), align_corners=align_corners)[None]
    points, _ = stnref.unnormalize_forward(G, (28, 28), align_corners=align_corners)
    report = stnref.kink_report(points, (28, 28))
    print(f"align_corners={align_corners}:", report)
    assert report.n_kinks == expected
U = rng.normal(size=(1, 28, 28, 1))
V = stnref.grid_sample(U, G, align_corners=False)
pooled, _ = nn.avg_pool2d_forward(U, 2)
np.testing.assert_allclose(V, pooled, atol=1e-14)
