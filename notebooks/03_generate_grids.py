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
# # 3. Generate grids
#
# **What you will do.** Make the target grid, move it with each of the transforms, one parameter at a time, and look at what the output
# then shows. Then put two transforms together, undo one, and rotate a picture that is not square.
#
# **What you will learn.** What normalised coordinates are good for, in which sense a grid acts on the screen, why most grids are linear
# in their parameters, and in which order matrices act.
#
# **What you need.** [Forward and reverse mapping](01_forward_and_reverse_mapping.ipynb),
# [bilinear interpolation](02_bilinear_interpolation.ipynb), and products of small matrices. The complete algebra is on the pages
# [grid generator](https://github.com/stnref/stnref/blob/main/docs/derivations/grid_generator.md) and
# [transforms](https://github.com/stnref/stnref/blob/main/docs/derivations/transforms.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import transforms, viz
from stnref.data import draw_digits

rng = np.random.default_rng(0)

# %% [markdown]
# ## The target grid
#
# The output is read pixel by pixel: for the output pixel in row i and column j we need the place in the input where to look. The
# *target grid* G is the list of the output's own pixels; a transform moves each of its points, and what comes out is the *sampling
# grid*, `grid`. The output's size is ours to choose. It need not be the input's.
#
# G does not count pixels. It is *normalised*: along each axis the picture spans the numbers from -1 to 1. But what exactly is at -1?
# There are two rules.
#
# - `align_corners=True`: -1 and 1 are the *centres* of the first and of the last pixel, which are n - 1 pixels apart.
# - `align_corners=False`: -1 and 1 are the *outer edges* of these two, which are n pixels apart.
#
# Let d be that distance, n - 1 or n. An interval of length 2 covers d pixels, so a pixel is 2/d wide. By symmetry the middle of the
# axis, at pixel (n - 1)/2, has coordinate 0. So pixel i has the coordinate
#
# $$G_i = \frac 2 d \Big( i - \frac{n - 1}2 \Big) = \frac{2i - (n - 1)}d .$$
#
# (In this formula i counts along either axis. The page on the grid generator writes ℓ for d, as a d there marks a gradient.)

# %%
n = 4
for align_corners, d in ((True, n - 1), (False, n)):
    G = stnref.target_grid((n, n), align_corners=align_corners)
    print(f"align_corners={align_corners!s:5}", G[0, :, 0].round(4))
    by_hand = [(2 * i - (n - 1)) / d for i in range(n)]
    np.testing.assert_allclose(G[0, :, 0], by_hand, rtol=0, atol=1e-14)  # x along a row
    np.testing.assert_allclose(G[:, 0, 1], by_hand, rtol=0, atol=1e-14)  # y down a column

# %%
figure, axes = plt.subplots(2, 1, figsize=(7, 3.2), sharex=True, layout="constrained")
for ax, rule, half in zip(axes, (True, False), (1.5, 2.0), strict=True):
    for m, g in enumerate(stnref.target_grid((4, 4), align_corners=rule)[0, :, 0]):
        ax.add_patch(plt.Rectangle((m - 0.5, 0), 1, 1, fill=False, ec="0.5"))
        ax.plot(m, 0.35, "ko", ms=4)
        ax.text(m, 0.6, f"{g:.2f}", ha="center", backgroundcolor="w")
    for side in (-1, 1):
        ax.axvline(1.5 + side * half, color="C1")
    title = "the orange lines, -1 and 1, go through the outer "
    ax.set(yticks=[], xlim=(-0.9, 3.9), ylim=(-0.1, 1.1))
    ax.set_title(f"align_corners={rule}: {title}{'centres' if rule else 'edges'}", fontsize=10)
axes[1].set_xlabel("x (pixels)")

# %% [markdown]
# The boxes are the four pixels of one row, and the numbers are their coordinates by the two rules. The same number means another place,
# so the rule has to be the same where the grid is made and where it is read. (The third exercise measures what happens if it is not.)
#
# Each point of G is a pair (x, y), x first, with x to the right and y **down**; but an array has its rows first. So `G[i, j]` is (x, y)
# = (coordinate of the column j, coordinate of the row i).

# %%
G = stnref.target_grid((3, 5))
print(G.shape, "first row:", G[0].tolist())
assert G[2, 0].tolist() == [-1, 1]  # last row, first column: lower left
assert G[0, 4].tolist() == [1, -1]  # first row, last column: upper right

# %% [markdown]
# The sampler goes the way back. It takes a coordinate g on the *input*, which has its own n and d, and solves for the pixel: x = (g d +
# n - 1)/2. With the identity, grid = G, a row of 4 pixels is thus resized to 8. The corner rule decides where the outer samples lie.

# %%
for align_corners in (True, False):
    G = stnref.target_grid((8, 8), align_corners=align_corners)
    points, _ = stnref.unnormalize_forward(G, (4, 4), align_corners=align_corners)
    print(f"align_corners={align_corners!s:5}", points[0, :, 0].round(3))
ones = np.ones((1, 4, 4, 1))
V = stnref.grid_sample(ones, G[None], align_corners=False)
print("a corner of a white picture:", V[0, 0, 0, 0])
np.testing.assert_allclose(V[0, 0, 0, 0], 0.75**2, rtol=1e-12)

# %% [markdown]
# With edges the first sample is at -0.25, outside of the outer centres. There zero padding already mixes in black: a quarter of it
# along each axis, so the corner of a white picture becomes 0.75² = 0.5625.
#
# ## The affine grid
#
# An affine map sends a target point (x, y) to a linear function of x and y, plus a shift. It is written as a matrix theta with two rows
# and three columns, and a 1 is appended to the point so that the shift is a column like the others (equation 1 of the paper):
#
# $$\begin{pmatrix} x^s \\ y^s \end{pmatrix} =
# \begin{pmatrix} \theta_{11} & \theta_{12} & \theta_{13} \\ \theta_{21} & \theta_{22} & \theta_{23} \end{pmatrix}
# \begin{pmatrix} x \\ y \\ 1 \end{pmatrix}
# = x \begin{pmatrix} \theta_{11} \\ \theta_{21} \end{pmatrix} + y \begin{pmatrix} \theta_{12} \\ \theta_{22} \end{pmatrix}
# + \begin{pmatrix} \theta_{13} \\ \theta_{23} \end{pmatrix} .$$
#
# The s stands for source, the input. Read it by columns. The third column is where the centre (0, 0) of the output looks. The first is
# how far the look moves for one unit to the right, and the second for one unit down. So three points tell everything, and the middle of
# two points goes to the middle of their images: straight lines stay straight, and parallel ones stay parallel.

# %%
theta = np.array([[[0.6, -0.3, 0.1], [0.2, 0.7, -0.05]]])  # (1, 2, 3): one picture
G = stnref.target_grid((5, 7))
grid = stnref.affine_grid(theta, G)
by_hand = np.zeros((5, 7, 2))
for i in range(5):
    for j in range(7):
        x, y = G[i, j]
        by_hand[i, j] = theta[0] @ [x, y, 1]
np.testing.assert_allclose(grid[0], by_hand, rtol=0, atol=1e-14)
np.testing.assert_allclose(grid[0, 2, 3], theta[0, :, 2], rtol=0, atol=1e-14)  # the centre
np.testing.assert_allclose(
    grid[0, 2, 6] - grid[0, 2, 3], theta[0, :, 0], rtol=1e-12
)  # one unit right

# %% [markdown]
# The target grid is fixed, so the grid is **linear in theta**: it is a sum of three pictures, x, y and 1, that do not change, with the
# entries of theta as their factors. `basis_grid_forward` takes any such set of pictures, as a basis B with one number per pixel and
# picture. With (x, y, 1) it gives the affine grid. Soon it will give splines.

# %%
B = np.concatenate([G, np.ones((5, 7, 1))], axis=-1)  # (5, 7, 3): x, y, 1
by_basis, _ = transforms.basis_grid_forward(theta.swapaxes(1, 2), B)  # theta as (K, 2)
np.testing.assert_allclose(by_basis, grid, rtol=0, atol=1e-14)

# %% [markdown]
# ## One theta for every size
#
# Why normalised coordinates? Say an axis of the input has n pixels. A normalised coordinate g lies at the pixel (g d + n - 1)/2, that
# is, measured from the middle and in units of d, at
#
# $$\frac{x - (n-1)/2}{d} = \frac g 2 .$$
#
# On the right there is no n left. So g says *which fraction of the picture*, and the same g is the same place in a small copy and in a
# large one. A shift of $t_x = 0.5$ is a quarter of d at every size. The localisation net need not know the size, and neither the
# input's nor the output's resolution changes what theta means.

# %%
for n in (7, 28, 224):
    shift = np.array([[[1, 0, 0.5], [0, 1, 0]]])
    M = transforms.to_pixel_matrix(shift, (n, n), (n, n))  # the same map, in pixels
    print(f"n = {n:3d}: t_x = 0.5 is {M[0, 0, 2]:6.2f} pixels, {M[0, 0, 2] / (n - 1):.2f} of d")
    np.testing.assert_allclose(M[0, 0, 2], 0.5 * (n - 1) / 2, rtol=1e-12)

# %% [markdown]
# The same holds for the output: a finer target grid has points in between, and the old ones stay where they were. With aligned corners
# 13 pixels contain the 7 as every second one. With edges each pixel is cut into three, and the middle one of them is the old centre.

# %%
coarse, fine = (stnref.affine_grid(theta, stnref.target_grid((n, n))) for n in (7, 13))
np.testing.assert_allclose(fine[:, ::2, ::2], coarse, rtol=0, atol=1e-14)
edges = (stnref.target_grid((n, n), align_corners=False) for n in (7, 21))
coarse, fine = (stnref.affine_grid(theta, G) for G in edges)
np.testing.assert_allclose(fine[:, 1::3, 1::3], coarse, rtol=0, atol=1e-14)

# %% [markdown]
# ## The sense on the screen
#
# A theta says where the output *looks*. The picture seems to do the opposite, as the landscape does when the head is turned. Let us
# draw it. The helper takes the identity's parameters, adds a step to one of them, and shows the grid above and the output below.


# %%
digit = draw_digits(1, np.random.default_rng(4), labels=[5]).images.astype(float)
digit = np.roll(digit, 3, axis=1)  # digits are drawn a little above the centre


def one_by_one(name, steps, **options):
    """Return a grid for each (title, index, step): the identity, and a step on one parameter."""
    transform = stnref.get_transform(name, (28, 28), **options)
    grids = {}
    for title, index, step in steps:
        params = transform.identity.copy()
        params[index] += step
        grids[title] = transform.forward(params[None])[0]
    return grids


# %%
def draw(grids):
    """Show each grid over the digit, and below it what the output sees."""
    size = (1.75 * len(grids), 3.9)
    _, axes = plt.subplots(2, len(grids), figsize=size, squeeze=False, layout="constrained")
    for column, (title, grid) in zip(axes.T, grids.items(), strict=True):
        for ax, picture in zip(column, (digit, stnref.grid_sample(digit, grid)), strict=True):
            viz.plot_image(picture[0], ax=ax)
            ax.set(xticks=[0, 27], yticks=[0, 27])
        seen = np.where(grid[0] == transforms.FAR, np.nan, grid[0])  # hidden: see the horizon
        viz.plot_grid(seen, (28, 28), ax=column[0])
        column[0].set(xlim=(-9, 36), ylim=(36, -9), facecolor="0.6", title=title)
        column[1].set_xlabel("x (pixels)")
    axes[0, 0].set_ylabel("input, grid: y (pixels)")
    axes[1, 0].set_ylabel("output: y (pixels)")
    return axes


# %%
_ = draw(
    {
        "identity": stnref.target_grid((28, 28))[None],
        **one_by_one("translation", [("tx = 0.4", 0, 0.4), ("ty = 0.4", 1, 0.4)]),
        **one_by_one("attention", [("s = 0.6", 0, -0.4), ("s = 1.5", 0, 0.5)]),
        **one_by_one("rigid", [("angle = 0.5", 0, 0.5)]),
    }
)

# %% [markdown]
# White is ink (1), black is paper (0), and grey is what lies beyond the input. The heavy line is the grid's first row: the output's
# upper edge. Read the columns:
#
# - **tx**: the grid moves to the right, so the digit moves to the *left*. **ty**: the grid moves down, the digit *up*.
# - **s = 0.6**: the grid shrinks and looks at a part, which then fills the output. **A theta that shrinks the coordinates zooms in.**
#   With s = 1.5 the digit gets smaller, with black around it.
# - **angle**, in radians: the grid turns *clockwise* (as y points down), and the digit *counter-clockwise*.
#
# All three can be checked without any tolerance for interpolation, by steps that lead from pixels to pixels.

# %%
translation = one_by_one("translation", [("4 pixels", 0, 4 / 13.5)])["4 pixels"]
V = stnref.grid_sample(digit, translation)
np.testing.assert_allclose(
    V[:, :, :-4], digit[:, :, 4:], rtol=0, atol=1e-12
)  # it moved 4 to the left
attention = one_by_one("attention", [("a third", 0, -2 / 3)])["a third"]
V = stnref.grid_sample(digit, attention)  # output pixel i looks at 9 + i / 3
np.testing.assert_allclose(
    V[:, ::3, ::3], digit[:, 9:19, 9:19], rtol=0, atol=1e-12
)  # three times as large
rigid = one_by_one("rigid", [("quarter", 0, np.pi / 2)])["quarter"]
V = stnref.grid_sample(digit, rigid)
np.testing.assert_allclose(
    V, np.rot90(digit, 1, axes=(1, 2)), rtol=0, atol=1e-12
)  # counter-clockwise

# %% [markdown]
# ## All families, one parameter at a time
#
# | name | parameters | grid |
# |---|---|---|
# | `translation` | tx, ty | shift |
# | `attention` | s, tx, ty | one scale for both axes, and a shift: a window |
# | `rigid` | angle, tx, ty | turn and shift |
# | `similarity` | s, angle, tx, ty | scale, turn and shift: shapes stay similar |
# | `affine` | the six entries of theta, row by row | parallels stay parallel |
# | `projective` | eight entries of a 3 x 3 theta, row by row; the ninth is 1 | straight lines stay straight |
# | `tps` | (x, y) of each control point in the source | the smoothest map through the control points |
# | `bspline` | (x, y) of each control point in the source | smooth, and each point acts nearby only |
# | flow | (x, y) for every pixel | anything |
#
# The first five are all a theta of 2 x 3. For a similarity it is
#
# $$\theta = \begin{pmatrix} s \cos a & -s \sin a & t_x \\ s \sin a & s \cos a & t_y \end{pmatrix},$$
#
# rigid is s = 1, and attention is a = 0. In which order do the parts act? The point is scaled and turned about the centre, and *then*
# shifted. So (tx, ty) is where the output's centre looks, whatever s and a are.

# %%
s, a, tx, ty = 0.7, 0.5, 0.2, -0.1
similar, _ = stnref.get_transform("similarity", (5, 5)).forward(np.array([[s, a, tx, ty]]))
by_hand = [[s * np.cos(a), -s * np.sin(a), tx], [s * np.sin(a), s * np.cos(a), ty]]
G = stnref.target_grid((5, 5))
np.testing.assert_allclose(similar, stnref.affine_grid(np.array([by_hand]), G), rtol=0, atol=1e-14)
np.testing.assert_allclose(similar[0, 2, 2], [tx, ty], rtol=0, atol=1e-14)

# %% [markdown]
# **Affine.** Each of the six entries alone:

# %%
steps = {"θ11": -0.5, "θ12": 0.4, "θ13": 0.4, "θ21": 0.4, "θ22": -0.5, "θ23": 0.4}
_ = draw(one_by_one("affine", [(f"{k} {v:+}", i, v) for i, (k, v) in enumerate(steps.items())]))

# %% [markdown]
# θ11 and θ22 scale one axis each: half as wide a look, so a digit twice as wide. θ12 and θ21 shear: θ12 moves the look sideways by 0.4
# for each unit *down*, so the lower half of the digit goes to the left and the upper half to the right. θ13 and θ23 are tx and ty. (A
# turn needs θ12 and θ21 with opposite signs, and θ11 and θ22 a little smaller.)
#
# **Projective.** A third row is added, and the point is divided by what it gives:
#
# $$X = \theta_1 \cdot (x, y, 1), \quad Y = \theta_2 \cdot (x, y, 1), \quad Z = \theta_3 \cdot (x, y, 1),
# \qquad x^s = X/Z, \quad y^s = Y/Z .$$
#
# Here $\theta_1$ is the first row, and so on. A factor on all nine entries cancels, so the last one can be held at 1 and eight are
# left. Six of them do what they do in the affine family. The two new ones, θ31 and θ32, make Z depend on the place, as the distance of
# a tilted plane does.

# %%
new = [("θ31 +0.4", 6, 0.4), ("θ31 -0.4", 6, -0.4), ("θ32 +0.4", 7, 0.4), ("θ32 +1.5", 7, 1.5)]
perspective = one_by_one("projective", new)
_ = draw(perspective)

# %% [markdown]
# With θ31 = 0.4, Z is 1.4 at the right edge and 0.6 at the left one: the grid is smaller on the right, where the output zooms in, and
# larger on the left. Lines are straight, but no longer parallel. The grid is *not* linear in these two.
#
# **The horizon.** For θ32 = 1.5, Z = 1 + 1.5 y is zero at y = -2/3. That line of the output is the *horizon*: towards it the grid runs
# to infinity, and at the line itself one divides by zero. Beyond it Z is negative: these points lie behind the viewer, and X/Z would
# show them upside down. A localisation net can predict such a theta at any time. The library *hides* all points whose Z is not positive
# (by a small margin): it sends them to (1000, 1000), beyond every picture, where the sampler reads 0 and no gradient arises. Hence the
# black upper part. `horizon="ignore"` gives the plain quotient instead.

# %%
y = stnref.target_grid((28, 28))[:, 0, 1]
hidden = (perspective["θ32 +1.5"][0] == transforms.FAR).all(axis=-1)  # (28, 28)
np.testing.assert_array_equal(hidden, np.broadcast_to((1 + 1.5 * y <= 0)[:, None], (28, 28)))
plain = one_by_one("projective", new, horizon="ignore")["θ32 +1.5"][0]
print(f"{hidden[:, 0].sum()} of 28 rows are hidden")
print(f"the middle of row 0 is at y = {plain[0, 14, 1]:.1f}: Z = {1 + 1.5 * y[0]:.1f}")
np.testing.assert_allclose(plain[0, 14, 1], -1 / (1 - 1.5), rtol=1e-12)

# %% [markdown]
# The plain quotient sends the *upper* edge of the output to y = 2, below the picture: upside down, as said.
#
# **Splines and flow.** A spline has a lattice of *control points* in the target. Its parameters are the places in the source where they
# look. If they all look at themselves, the grid is the identity. Move one to the right by 0.5, the control point next to the centre on
# the upper left (in the fourth picture it moves down instead):

# %%
bend = {
    **one_by_one("tps", [("tps", 2 * 5, 0.5)]),  # point 5 of 4 x 4; x is entry 2 * 5
    **one_by_one("tps", [("tps, stiffness 1", 2 * 5, 0.5)], stiffness=1.0),
    **one_by_one("bspline", [("bspline, 7 x 7", 2 * 16, 0.5)], control_shape=(7, 7)),
    **one_by_one("tps", [("tps, y instead", 2 * 5 + 1, 0.5)]),
}
G = stnref.target_grid((28, 28))
flow = np.stack([0.12 * np.sin(9 * G[..., 1]), 0 * G[..., 1]], axis=-1)  # (28, 28, 2)
bend["flow: a wave"], _ = transforms.flow_grid_forward(flow[None], G)

# %%
axes = draw(bend)
starts = [(-1 / 3, -1 / 3), (-1 / 3, -1 / 3), (-0.5, -0.5), (-1 / 3, -1 / 3)]
moves = [(0.5, 0), (0.5, 0), (0.5, 0), (0, 0.5)]
for ax, start, move in zip(axes[0], starts, moves, strict=False):
    before, after = (13.5 * np.array(g) + 13.5 for g in (start, np.add(start, move)))
    ax.plot(*np.stack([before, after]).T, "C0", lw=2)
    ax.plot(*before, "o", color="C0", mfc="w", ms=5)  # where the control point is in the target
    ax.plot(*after, "o", color="C0", ms=5)  # where it looks

# %% [markdown]
# Blue is the move, from the control point (hollow) to the place where it looks now (filled). The thin plate goes through its control
# points, and a move of one is felt everywhere. A stiff plate resists and bends less. The B-spline's grid changes within two lattice
# spacings only, and is pulled *towards* its control point without reaching it. The even entries of the parameters are x, the odd ones
# y. A flow displaces every pixel by itself: here by a sine of y, so the rows slide sideways. It is the most general of all, and has two
# parameters *for every pixel*.

# %%
for name in transforms.TRANSFORMS:
    transform = stnref.get_transform(name, (28, 28))
    grid, _ = transform.forward(transform.identity[None])
    np.testing.assert_array_equal(grid[0], G)  # at the identity: G itself, bit by bit
    print(f"{name:12s} {transform.n_params:2d} parameters")
print(f"{'flow':12s} {flow.size} parameters")

# %% [markdown]
# ## Why a thin plate is linear in its control points
#
# A thin-plate spline looks complicated, but its grid is again a basis times theta. Let $c_1, \dots, c_K$ be the control points in the
# target, and $\theta_k$ the x to which $c_k$ is to go (y is a second problem of the same kind). Of all functions f with
# $f(c_k) = \theta_k$ the spline is the one that bends least, and that one has the form
#
# $$f(p) = \sum_k w_k\,\varphi(|p - c_k|) + a_0 + a_1 x + a_2 y, \qquad \varphi(r) = r^2 \log r^2, \quad \varphi(0) = 0,$$
#
# a bump for each control point and an affine function. (Why it has this form is proved on the page on transforms, where φ is called U.)
# The K + 3 unknowns w and a are found from K + 3 equations: f takes the values $\theta_k$ at the points, and the bumps contain no
# affine part, which means $\sum_k w_k = 0$ and $\sum_k w_k c_k = 0$. With the matrix Φ of the $\varphi(|c_k - c_l|)$, and P with rows
# $(1, c_k)$,
#
# $$\underbrace{\begin{pmatrix} \Phi & P \\ P^{\mathsf T} & 0 \end{pmatrix}}_{L} \begin{pmatrix} w \\ a \end{pmatrix}
# = \begin{pmatrix} \theta \\ 0 \end{pmatrix}
# \quad\Rightarrow\quad \begin{pmatrix} w \\ a \end{pmatrix} = \big( \text{first K columns of } L^{-1} \big)\, \theta .$$
#
# The control points of the target never move, so L is a constant matrix, and w and a are *linear* in θ. The value at a pixel p is the
# row $(\varphi(|p - c_1|), \dots, \varphi(|p - c_K|), 1, x, y)$, constant as well, times (w, a). A linear function of a linear function
# is linear:
#
# $$\mathrm{grid} = B\,\theta, \qquad B_p = \big(\text{row of } p\big) \cdot \big( \text{first K columns of } L^{-1} \big).$$
#
# B is computed once. After that a spline costs one matrix product, and its backward the transposed one.


# %%
def phi(p, c):
    r2 = ((p[:, None] - c) ** 2).sum(axis=-1)
    return r2 * np.log(np.maximum(r2, 1e-300))  # 0 at r = 0


c = transforms.regular_points((4, 4))  # (16, 2)
p = G.reshape(-1, 2)  # (784, 2)
P, P_p = (np.insert(q, 0, 1, axis=1) for q in (c, p))  # rows (1, x, y)
L = np.block([[phi(c, c), P], [P.T, np.zeros((3, 3))]])  # (19, 19)
by_hand = np.hstack([phi(p, c), P_p]) @ np.linalg.inv(L)[:, :16]
B = transforms.thin_plate_basis(c, G)  # (28, 28, 16)
np.testing.assert_allclose(by_hand.reshape(28, 28, 16), B, rtol=0, atol=1e-12)

# %% [markdown]
# (The library counts lengths in another unit. That changes w and a, and not the spline.) Three things follow, each worth an assertion.
#
# 1. *Column k of B is what moves if control point k moves by one.* It is 1 at $c_k$, and 0 at the other control points.
# 2. *The rows sum to one, and B c = G*: if all points are shifted alike, so is the grid, and if all stay, it is the identity.
# 3. *Displacements add up.* Let δ = θ - c be the displacements. Then grid = B (c + δ) = G + B δ, and the effect of many moved points is
#    the sum of the effects of each.

# %%
at_points = transforms.thin_plate_basis(c, c.reshape(4, 4, 2)).reshape(16, 16)
np.testing.assert_allclose(at_points, np.eye(16), rtol=0, atol=1e-12)
np.testing.assert_allclose(B.sum(axis=-1), 1, rtol=0, atol=1e-12)
np.testing.assert_allclose(B @ c, G, rtol=0, atol=1e-12)
delta = rng.normal(scale=0.1, size=(16, 2))
tps = stnref.get_transform("tps", (28, 28))
grid, _ = tps.forward((c + delta).reshape(1, 32))
one_after_another = G + sum(B[..., k, None] * delta[k] for k in range(16))
np.testing.assert_allclose(grid[0], one_after_another, rtol=0, atol=1e-12)
by_basis, _ = transforms.basis_grid_forward(delta[None], B)
np.testing.assert_allclose(grid, G + by_basis, rtol=0, atol=1e-12)

# %%
fine = stnref.target_grid((121, 121))
lattice = transforms.bspline_points((7, 7))
columns = {
    "thin plate": (transforms.thin_plate_basis(c, fine)[..., 5], c, 5),
    "plate, stiffness 1": (transforms.thin_plate_basis(c, fine, stiffness=1.0)[..., 5], c, 5),
    "B-spline, 7 x 7": (transforms.bspline_basis((7, 7), fine)[..., 16], lattice, 16),
}
for title, (column, _, _) in columns.items():
    print(f"{title:20s} from {column.min():+.3f} to {column.max():+.3f}")

# %%
figure, axes = plt.subplots(1, 4, figsize=(12, 3.1), layout="constrained")
styles = ["C0-", "C1--", "k:"]
for ax, style, title in zip(axes, styles, columns, strict=False):
    column, points, k = columns[title]
    drawn = ax.pcolormesh(*np.moveaxis(fine, -1, 0), column, cmap="RdBu", vmin=-1, vmax=1)
    ax.plot(*points.T, "k.", ms=4)
    ax.set(xlim=(-1.05, 1.05), ylim=(1.05, -1.05), aspect="equal", title=title)
    ax.set(xlabel="x (normalised)", ylabel="y (normalised)")
    row = np.abs(fine[:, 0, 1] - points[k, 1]).argmin()  # the row of the control point
    axes[3].plot(fine[0, :, 0], column[row], style, label=title)
figure.colorbar(drawn, ax=axes[:3].tolist(), label="displacement per unit moved")
axes[3].set(xlabel="x (normalised)", title="a cut through the point", ylim=(-0.2, 1.5))
axes[3].legend(fontsize=8)

# %% [markdown]
# One column of each basis, as a picture: blue moves along with the control point, red moves against it, and white stands still. Black
# dots are control points. On the right is a cut through the moved point. The plate has faint red lobes beyond its neighbours. If it is
# stiff, its peak is lower and wider. The B-spline is never negative and is exactly zero beyond two spacings; its peak is (2/3)² =
# 0.444.

# %%
plate, stiff, spline = (column for column, _, _ in columns.values())
np.testing.assert_allclose(spline.max(), (2 / 3) ** 2, rtol=1e-12)
far = np.abs(fine - lattice[16]).max(axis=-1) >= 2 * 0.5  # the spacing is 0.5
assert spline.min() == 0
assert (spline[far] == 0).all()
np.testing.assert_allclose(plate.max(), 1, rtol=1e-12)
assert -0.09 < plate.min() < -0.08
assert 0.5 < stiff.max() < 0.51

# %% [markdown]
# ## Two transforms, one after the other
#
# Sample the picture U with A, and sample what you get, $V_1$, with B. Can it be done in one go? Write the pictures as functions of the
# place p: $V_1(p) = U(A p)$, and the second output is $V_2(p) = V_1(B p)$. Put the first into the second:
#
# $$V_2(p) = V_1(B\,p) = U(A\,B\,p) .$$
#
# So it is the product **C = A B**, with the row (0, 0, 1) added to make the matrices square. The order looks odd at first: the
# *picture* meets A first, and then B; but the *point* p meets B first, and then A. It is the price for mapping target to source.
# `compose_forward(A, B)` gives A B. Sampling once with C is better than twice: it is interpolated, and thus blurred, once only.
#
# To check it exactly we take a picture that is a plane, as bilinear interpolation reads a plane without any
# error, as long as no sample leaves it.

# %%
A = np.array([[[0.5, 0.1, 0.1], [-0.1, 0.6, 0.0]]])
B = np.array([[[0.7, 0.0, 0.2], [0.2, 0.8, 0.0]]])
C, _ = transforms.compose_forward(A, B)
square = [np.vstack([X[0], [0, 0, 1]]) for X in (A, B)]
np.testing.assert_allclose(C[0], (square[0] @ square[1])[:2], rtol=0, atol=1e-14)
plane = (2 * G[..., 0] - 3 * G[..., 1] + 1)[None, :, :, None]  # (1, 28, 28, 1)
V1 = stnref.grid_sample(plane, stnref.affine_grid(A, G))  # the picture meets A ...
V2 = stnref.grid_sample(V1, stnref.affine_grid(B, G))  # ... and then B
np.testing.assert_allclose(
    V2, stnref.grid_sample(plane, stnref.affine_grid(C, G)), rtol=0, atol=1e-12
)
other, _ = transforms.compose_forward(B, A)
assert np.abs(V2 - stnref.grid_sample(plane, stnref.affine_grid(other, G))).max() > 0.1

# %% [markdown]
# The two orders differ. Take a zoom (s = 0.5) and a shift (tx = 0.5):

# %%
zoom = np.array([[[0.5, 0, 0], [0, 0.5, 0]]])
shift = np.array([[[1, 0, 0.5], [0, 1, 0]]])
zoom_shift, _ = transforms.compose_forward(zoom, shift)
shift_zoom, _ = transforms.compose_forward(shift, zoom)
print("tx of zoom shift:", zoom_shift[0, 0, 2], "  tx of shift zoom:", shift_zoom[0, 0, 2])
assert (zoom_shift[0, 0, 2], shift_zoom[0, 0, 2]) == (0.25, 0.5)
names = {"zoom": zoom, "shift": shift, "zoom shift": zoom_shift, "shift zoom": shift_zoom}
_ = draw({name: stnref.affine_grid(matrix, G) for name, matrix in names.items()})

# %% [markdown]
# In "zoom shift" the picture is enlarged first, and the shift of 0.5 then moves the enlarged one: in the original that is 0.25. In
# "shift zoom" the picture is shifted by 0.5 and that is enlarged, so the output's centre looks at 0.5.
#
# ## Undo a transform
#
# If p goes to q = A p, then the inverse takes q back to p. `invert_forward(A)` gives it, again as two rows. Composed with A in either
# order, it is the identity, whatever the order was for other pairs:

# %%
A = np.array([[[0.9, -0.3, 0.05], [0.25, 1.1, -0.05]]])
N, _ = transforms.invert_forward(A)
identity = np.eye(2, 3)[None]
np.testing.assert_allclose(transforms.compose_forward(A, N)[0], identity, rtol=0, atol=1e-14)
np.testing.assert_allclose(transforms.compose_forward(N, A)[0], identity, rtol=0, atol=1e-14)
homography = np.array([[[0.9, -0.3, 0.05], [0.25, 1.1, -0.05], [0.2, -0.1, 1.0]]])
back, _ = transforms.invert_forward(homography)
both, _ = transforms.compose_forward(homography, back)
np.testing.assert_allclose(both, np.eye(3)[None], rtol=0, atol=1e-14)

# %% [markdown]
# The *matrix* is undone exactly. The *picture* is not, for two reasons: it was interpolated, and what left the picture is lost. Zoom
# in, and then out again: the border is gone.

# %%
unzoom, _ = transforms.invert_forward(zoom)
V1 = stnref.grid_sample(digit, stnref.affine_grid(zoom, G))
V2 = stnref.grid_sample(V1, stnref.affine_grid(unzoom, G))
once = stnref.grid_sample(digit, stnref.affine_grid(transforms.compose(zoom, unzoom), G))
pictures = {"input": digit, "sampled with zoom": V1, "and then with its inverse": V2}
pictures["sampled once, with the product"] = once
figure, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    viz.plot_image(picture[0], ax=ax)
    ax.set(xticks=[0, 27], yticks=[0, 27], xlabel="x (pixels)")
    ax.set_title(title, fontsize=9)
axes[0].set_ylabel("y (pixels)")
np.testing.assert_allclose(once, digit, rtol=0, atol=1e-12)
assert np.abs(V2 - digit).max() > 0.5

# %% [markdown]
# White is ink. The third picture is the input's middle, with the rest cut off but for a faint rim. The fourth is the input itself: the
# product is the identity, and nothing was cut.
#
# ## The trap: pictures that are not square
#
# In normalised coordinates *every* picture is a square from -1 to 1. One unit of x is (W - 1)/2 pixels, and one unit of y is (H - 1)/2.
# Turn by the angle a in normalised coordinates, and translate to pixels, both sizes being H x W. With aligned corners, and without the
# shift:
#
# $$M = \begin{pmatrix} \tfrac{W-1}2 & 0 \\ 0 & \tfrac{H-1}2 \end{pmatrix}
# \begin{pmatrix} \cos a & -\sin a \\ \sin a & \cos a \end{pmatrix}
# \begin{pmatrix} \tfrac2{W-1} & 0 \\ 0 & \tfrac2{H-1} \end{pmatrix}
# = \begin{pmatrix} \cos a & -\tfrac{W-1}{H-1} \sin a \\ \tfrac{H-1}{W-1} \sin a & \cos a \end{pmatrix} .$$
#
# Only for W = H is that a rotation. Else, for every turn but a half or a whole one, the picture is sheared.
# `to_pixel_matrix` computes M, with its shift.

# %%
H, W, a = 28, 84, np.radians(20)
turn = np.array([[[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0]]])
M = transforms.to_pixel_matrix(turn, (H, W), (H, W))[0]
print(M.round(3))
r = (W - 1) / (H - 1)
by_hand = [[np.cos(a), -r * np.sin(a)], [np.sin(a) / r, np.cos(a)]]
np.testing.assert_allclose(M[:, :2], by_hand, rtol=1e-12)
print("a pixel to the right becomes", np.linalg.norm(M[:, 0]).round(3), "pixels long,")
print("one down                    ", np.linalg.norm(M[:, 1]).round(3))
assert np.abs(np.linalg.svd(M[:, :2])[1] - 1).max() > 0.5  # a rotation has 1 and 1

# %% [markdown]
# The way out: write the rotation *in pixels*, about the middle q of the picture, p → R (p - q) + q, and let `from_pixel_matrix` make
# the theta of it.

# %%
R = turn[0, :, :2]
q = np.array([(W - 1) / 2, (H - 1) / 2])  # (x, y)
in_pixels = np.column_stack([R, q - R @ q])[None]  # (1, 2, 3)
honest = transforms.from_pixel_matrix(in_pixels, (H, W), (H, W))
print("theta of the rotation in pixels:", honest[0].round(3) + 0.0, sep="\n")
by_hand = [[np.cos(a), -np.sin(a) / r, 0], [r * np.sin(a), np.cos(a), 0]]
np.testing.assert_allclose(honest[0], by_hand, rtol=0, atol=1e-12)
np.testing.assert_allclose(
    transforms.to_pixel_matrix(honest, (H, W), (H, W)), in_pixels, rtol=0, atol=1e-12
)

# %%
three = draw_digits(3, np.random.default_rng(6), labels=[5, 0, 4]).images.astype(float)
wide = np.concatenate(list(three), axis=1)[None]  # (1, 28, 84, 1)
target = stnref.target_grid((H, W))
figure, axes = plt.subplots(2, 2, figsize=(10, 5), layout="constrained")
titles = ("turned in normalised coordinates: sheared", "turned in pixels")
for column, theta, title in zip(axes.T, (turn, honest), titles, strict=True):
    grid = stnref.affine_grid(theta, target)
    viz.plot_image(wide[0], ax=column[0])
    viz.plot_grid(grid[0], (H, W), ax=column[0])
    column[0].set(title=title, xlim=(-12, 96), ylim=(44, -17), facecolor="0.6")
    viz.plot_image(stnref.grid_sample(wide, grid)[0], ax=column[1])
    column[0].set(xticks=[0, 83], yticks=[0, 27])
    column[1].set(xlabel="x (pixels)", xticks=[0, 83], yticks=[0, 27])
axes[0, 0].set_ylabel("input, grid: y (pixels)")
axes[1, 0].set_ylabel("output: y (pixels)")

# %% [markdown]
# White is ink, grey is beyond the input. On the left the grid is a parallelogram, and the digits lean; on the right it is a rectangle,
# and they only turn. The families `rigid` and `similarity` turn in normalised coordinates: on pictures that are not square they do what
# is on the left.
#
# Grids are made, and pictures can be read at them. [The next notebook](04_the_three_parts.ipynb) puts both into a module that finds
# theta itself.
#
# ## Exercises
#
# **1.** Which attention parameters show the *upper right quarter* of a picture of 28 x 28, as 14 x 14 pixels, without any
# interpolation? Answer for both corner rules.

# %% [markdown]
# <details><summary>Answer</summary>
#
# The quarter is the columns 14 to 27 and the rows 0 to 13. With edges it is just half of the picture: s = 1/2, tx = 1/2, ty = -1/2.
# With aligned corners the first and last *centres* count: column 14 is at (28 - 27)/27 = 1/27 and column 27 at 1. Half their distance
# is s = 13/27, and their middle is tx = 14/27; ty = -14/27. That is not 1/2, because from centre to centre the quarter is 13 pixels
# wide, and the picture 27.
#
# </details>

# %% tags=["hide-cell"]
answers = {True: [13 / 27, 14 / 27, -14 / 27], False: [1 / 2, 1 / 2, -1 / 2]}
for rule, params in answers.items():
    window = stnref.get_transform("attention", (14, 14), align_corners=rule)
    grid, _ = window.forward(np.array([params]))
    V = stnref.grid_sample(digit, grid, align_corners=rule)
    np.testing.assert_allclose(V, digit[:, :14, 14:], rtol=0, atol=1e-12)

# %% [markdown]
# **2.** `rigid` turns about the centre of the picture. Build, with `compose`, the theta that turns the grid about the point q = (0.4,
# -0.2). Which factor comes first in the product?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Move q to the centre, turn, and move back: p → R (p - q) + q. The point meets the shift by -q first, so that one stands on the
# *right*: T(q) R T(-q). The product the other way round, T(-q) R T(q), leaves the point -q where it is.
#
# </details>

# %% tags=["hide-cell"]
q, a = np.array([0.4, -0.2]), 0.7
turn = np.array([[[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0]]])
to_q, from_q = (np.column_stack([np.eye(2), sign * q])[None] for sign in (1, -1))
about_q = transforms.compose(to_q, transforms.compose(turn, from_q))
np.testing.assert_allclose(
    stnref.affine_grid(about_q, q.reshape(1, 1, 2)).ravel(), q, rtol=0, atol=1e-14
)
reverse = transforms.compose(from_q, transforms.compose(turn, to_q))
np.testing.assert_allclose(
    stnref.affine_grid(reverse, -q.reshape(1, 1, 2)).ravel(), -q, rtol=0, atol=1e-14
)
assert np.abs(reverse - about_q).max() > 0.1

# %% [markdown]
# **3.** The target grid is made with `align_corners=False` and read with `align_corners=True`, both with 28 x 28 pixels and the
# identity. By how many pixels is a sample off, at most? Does it get better with larger pictures?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Pixel i gets $G_i = (2i - 27)/28$ and is read at $x = (27\,G_i + 27)/2$. From the middle of the picture that is 27/28 of the distance
# it should be: the picture is enlarged a little. At the border the error is the largest, $13.5 \cdot (1 - 27/28) = 27/56 = 0.482$
# pixels. For n pixels it is (n - 1)/(2n): it *approaches* half a pixel as the picture grows, and no resolution cures it.
#
# </details>

# %% tags=["hide-cell"]
for n in (7, 28, 224):
    mixed = stnref.target_grid((n, n), align_corners=False)
    points, _ = stnref.unnormalize_forward(mixed, (n, n), align_corners=True)
    off = np.abs(points[0, :, 0] - np.arange(n)).max()
    print(n, round(off, 4))
    np.testing.assert_allclose(off, (n - 1) / (2 * n), rtol=1e-9)

# %% [markdown]
# **4.** Turn all control points of a thin-plate spline, and of a B-spline, by the same angle about the centre. Which grid do you get,
# and why? Does the stiffness matter?

# %% [markdown]
# <details><summary>Answer</summary>
#
# The rigid grid, exactly. The new control points are $\theta = c\,R^{\mathsf T}$ (each row turned by R), so grid
# $= B\,c\,R^{\mathsf T} = G\,R^{\mathsf T}$, as B c = G. With the rows of B summing to one it holds for every affine map. An affine map
# does not bend the plate, so a stiff plate does not resist it: B c = G is true for every stiffness. In this way the affine family is
# contained in both splines.
#
# </details>

# %% tags=["hide-cell"]
expected, _ = stnref.get_transform("rigid", (28, 28)).forward(np.array([[0.5, 0, 0]]))
R = np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
for name, options in {"tps": {}, "tps ": {"stiffness": 10.0}, "bspline": {}}.items():
    spline = stnref.get_transform(name.strip(), (28, 28), **options)
    turned = spline.identity.reshape(-1, 2) @ R.T
    grid, _ = spline.forward(turned.reshape(1, -1))
    np.testing.assert_allclose(grid, expected, rtol=0, atol=1e-12)
