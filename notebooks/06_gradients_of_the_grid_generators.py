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
# # 6. The gradients of the grid generators
#
# **What you will do.** Go from dgrid, the gradient by the sampling grid, to dtheta, the gradient by the parameters, for every family of
# transforms: affine, the matrices of few parameters, projective, thin plate, B-spline and flow. Each one by hand, in a few lines.
#
# **What you will learn.** Why a gradient by a parameter is always a sum over the grid; what the angle, the scale and the shift "feel";
# what the quotient does at the horizon; and why splines need no new derivation at all.
#
# **What you need.** [Backpropagation](05_backpropagation.ipynb), where dgrid comes from. The complete algebra, with numbered equations,
# is on the pages [grid generator](https://github.com/stnref/stnref/blob/main/docs/derivations/grid_generator.md) and
# [transforms](https://github.com/stnref/stnref/blob/main/docs/derivations/transforms.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import nn, transforms, viz
from stnref.data import draw_digits

rng = np.random.default_rng(0)

# %% [markdown]
# ## The question
#
# A target pixel lies in row i and column j of the output. Its place in the output is $(x, y) = G_{ij}$. The grid generator sends it to the
# place $(x^s, y^s) = \mathrm{grid}_{ij}$ in the input. All four numbers are normalised: the picture is [-1, 1] along both axes, y points
# down. The sampler reads the input there, a loss L is computed from what it reads, and the sampler's backward hands us
#
# $$d\mathrm{grid}_{ij} = \Big( \frac{\partial L}{\partial x^s_{ij}},\ \frac{\partial L}{\partial y^s_{ij}} \Big) = (dx_{ij},\, dy_{ij}) .$$
#
# So dx and dy are the two components of dgrid. They belong to normalised coordinates; in the sampler dx and dy belonged to pixels, and
# the factors (W - 1)/2 and (H - 1)/2 lie in between. Let p be one parameter. It moves many target pixels, and the chain rule adds up
# all of them:
#
# $$dp = \sum_{i,j} dx_{ij}\,\frac{\partial x^s_{ij}}{\partial p} + dy_{ij}\,\frac{\partial y^s_{ij}}{\partial p} .$$
#
# That is the whole method. What is left is to find $\partial\,\mathrm{grid}/\partial p$, one small field of arrows for each parameter.
# We call it the *sensitivity* of the grid to p.
#
# ## Three witnesses
#
# Each gradient that we write by hand has to agree with three others. The **library's** backward. The **complex step**: for an f with a
# Taylor series, Im f(p + ih)/h is f'(p) up to terms with h², and with h = 10⁻¹⁰⁰ that is exact to round-off. And the **dot test** with
# the jvp: the jvp takes a direction `p_dot` of the parameters to the direction `grid_dot` of the grid, and the sums of
# `dgrid * grid_dot` and of `dp * p_dot` have to be the same number.


# %%
def complex_step(forward, p, dgrid):
    """The derivative of L = sum(dgrid * grid) by each entry of p."""
    gradient = np.empty(p.shape)
    for k in np.ndindex(p.shape):
        step = np.zeros(p.shape, complex)
        step[k] = 1e-100j
        gradient[k] = (dgrid * forward(p + step)[0].imag).sum() / 1e-100
    return gradient


# %%
def ask_witnesses(forward, backward, jvp, p, dgrid, by_hand):
    """Compare a gradient by hand with the library, the complex step, and the dot test."""
    tolerance = {"rtol": 1e-12, "atol": 1e-12}  # round-off of sums over a few dozen pixels
    _, cache = forward(p)
    np.testing.assert_allclose(by_hand, backward(dgrid, cache), **tolerance)
    np.testing.assert_allclose(by_hand, complex_step(forward, p, dgrid), **tolerance)
    p_dot = rng.normal(size=p.shape)
    left, right = (dgrid * jvp(p_dot, cache)).sum(), (by_hand * p_dot).sum()
    np.testing.assert_allclose(left, right, **tolerance)
    print(f"three witnesses agree; dot test {left:.12f} = {right:.12f}")


# %% [markdown]
# The checks use a small output of 5 rows and 4 columns, and a random dgrid. The first axis of every array is the batch. It has one
# sample here: every sample has its own theta, and the sums never mix two of them.

# %%
G = stnref.target_grid((5, 4))  # (5, 4, 2)
x_y_1 = np.concatenate([G, np.ones((5, 4, 1))], axis=-1)  # (5, 4, 3)
dgrid = rng.normal(size=(1, 5, 4, 2))

# %% [markdown]
# ## Affine
#
# Equation 1 of the paper, written out for one target pixel:
#
# $$x^s = \theta_{11}\,x + \theta_{12}\,y + \theta_{13}, \qquad y^s = \theta_{21}\,x + \theta_{22}\,y + \theta_{23} .$$
#
# Take one entry, $\theta_{12}$. It stands in $x^s$ only, and its factor there is y. So
#
# $$\frac{\partial x^s_{ij}}{\partial \theta_{12}} = y_{ij}, \qquad \frac{\partial y^s_{ij}}{\partial \theta_{12}} = 0, \qquad
# d\theta_{12} = \sum_{i,j} dx_{ij}\,y_{ij} .$$
#
# The other five go the same way. The first row of theta meets dx, the second meets dy; the columns meet x, y and 1. As scalars:

# %%
theta = np.array([[[0.7, 0.2, 0.05], [-0.1, 0.8, 0.02]]])
dtheta = np.zeros((1, 2, 3))
for i in range(5):
    for j in range(4):
        x, y = G[i, j]
        dx, dy = dgrid[0, i, j]
        dtheta[0, 0] += dx * x, dx * y, dx
        dtheta[0, 1] += dy * x, dy * y, dy
print(dtheta[0].round(4))

# %% [markdown]
# The body of the loop is the outer product of $(dx, dy)$ and $(x, y, 1)$. So the loops are one line,
#
# $$d\theta = \sum_{i,j} d\mathrm{grid}_{ij}\,(x_{ij},\, y_{ij},\, 1)^{\mathsf T} .$$
#
# In `einsum`, b is the sample, r the row of theta (for x or for y), k its column; i and j are summed.

# %%
in_one_line = np.einsum("bijr,ijk->brk", dgrid, x_y_1)
np.testing.assert_allclose(in_one_line, dtheta, rtol=1e-12, atol=1e-12)
ask_witnesses(
    lambda theta: stnref.affine_grid_forward(theta, G),
    stnref.affine_grid_backward,
    stnref.affine_grid_jvp,
    theta,
    dgrid,
    dtheta,
)

# %% [markdown]
# ## The sensitivities of the affine grid
#
# The arrows show $\partial\,\mathrm{grid}/\partial\theta_{rk}$: in which direction, and how far, each point of the grid goes when this one
# entry grows. `jvp` with a unit vector draws them. The dots are the grid itself, here that of the identity.


# %%
def arrows(ax, at, field, longest=0.3, colour="C0"):
    """Draw a field at places, y down; its longest arrow is drawn with the length given."""
    x, y, u, v = (part.ravel() for part in (*np.moveaxis(at, -1, 0), *np.moveaxis(field, -1, 0)))
    scale = np.hypot(u, v).max() / longest
    ax.plot(x, y, ".", color="0.6", ms=3)
    ax.quiver(x, y, u, v, color=colour, angles="xy", scale_units="xy", scale=scale, width=0.008)
    ax.set(xlim=(-1.4, 1.4), ylim=(1.4, -1.4), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])


def sensitivity(transform, params, k):
    """Return the grid and its derivative by parameter number k, both (H', W', 2)."""
    grid, cache = transform.forward(params[None])
    return grid[0], transform.jvp(np.eye(transform.n_params)[[k]], cache)[0]


# %%
affine = stnref.get_transform("affine", (7, 7))
figure, axes = plt.subplots(
    2, 3, figsize=(8.4, 5.8), layout="constrained", sharex=True, sharey=True
)
for k, ax in enumerate(axes.ravel()):
    arrows(ax, *sensitivity(affine, affine.identity, k))
    ax.set_title(f"$\\partial\\,$grid / $\\partial\\,\\theta_{{{k // 3 + 1}{k % 3 + 1}}}$")
figure.suptitle("Six fields: the first row of theta moves along x, the second along y")
figure.supxlabel("x (normalised)")
figure.supylabel("y (normalised), down")

# %% [markdown]
# In the first two columns the arrows grow with the distance from an axis, and on that axis there are none. In the third all are equal.
# So the outer pixels pull hardest on the scales and shears, and the pixels in the middle hardly at all; on the shift all pull alike.
#
# ## A dgrid from a picture
#
# The gradient of a real loss is not random. Take a digit, blurred so that its slopes reach far. The output should look like the same
# digit turned, moved and scaled by amounts that we choose. The loss is the squared difference, and we stand at the identity.

# %%
blurred = draw_digits(1, np.random.default_rng(12), labels=[5]).images.astype(float)
for _ in range(2):
    box = np.full((7, 7, 1, 1), 1 / 49)
    blurred, _ = nn.conv2d_forward(blurred, box, np.zeros(1), padding=3)  # (1, 28, 28, 1)
blurred /= blurred.max()
similarity = stnref.get_transform("similarity", (12, 12))
wanted, _ = similarity.forward(np.array([[0.9, 0.4, 0.15, -0.1]]))  # scale, angle, tx, ty
goal = stnref.grid_sample(blurred, wanted)

# %%
identity = stnref.target_grid((12, 12))[None]
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
viz.plot_image(blurred[0], ax=axes[0])
viz.plot_grid(wanted[0], (28, 28), ax=axes[0])
viz.plot_image(stnref.grid_sample(blurred, identity)[0], ax=axes[1])
viz.plot_image(goal[0], ax=axes[2])
axes[0].set(title="picture, grid wanted", facecolor="0.5")
axes[1].set_title("output with the identity")
axes[2].set_title("output wanted")

# %% [markdown]
# White is 1, black 0, and grey is outside of the picture. The picture has 28 x 28 pixels, the output 12 x 12. The grid that is wanted is a
# little smaller than the picture, turned clockwise, and moved to the right and upwards. Its upper edge is drawn heavier. Now the gradient,
# at the identity:

# %%
affine = stnref.get_transform("affine", (12, 12))
grid, cache = affine.forward(affine.identity[None])
V, sample_cache = stnref.grid_sample_forward(blurred, grid)
_, picture_dgrid = stnref.grid_sample_backward(2 * (V - goal), sample_cache, needs=["grid"])
picture_dtheta = affine.backward(picture_dgrid, cache).reshape(2, 3)
step = affine.jvp(-picture_dtheta.reshape(1, 6), cache)  # where the grid goes, downhill
print(picture_dtheta.round(3))

# %%
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.6), layout="constrained")
axes[0].imshow(blurred[0, :, :, 0], "gray", extent=(-28 / 27, 28 / 27, 28 / 27, -28 / 27))
arrows(axes[0], grid[0], -picture_dgrid[0], colour="C1")
axes[0].set(title="-dgrid: where each sample wants to go")
size = np.abs(picture_dtheta).max()
drawn = axes[1].imshow(-picture_dtheta, "RdBu", vmin=-size, vmax=size)
for (row, k), value in np.ndenumerate(-picture_dtheta):
    light = "w" if abs(value) > 0.6 * size else "k"
    axes[1].text(k, row, f"{value:.1f}", ha="center", va="center", color=light)
axes[1].set(title="-dtheta, the sum (white: 0)", xticks=range(3), yticks=range(2))
axes[1].set(xticklabels=["x", "y", "1"], yticklabels=["dx", "dy"])
arrows(axes[2], grid[0], step[0])
axes[2].set(title="the step of theta, seen in the grid")
for ax in axes[::2]:
    ax.set(xlabel="x (normalised)", ylabel="y (normalised), down")

# %% [markdown]
# On the left every sample has its own wish, and many contradict each other. The six sums in the middle are what remains of them. On the
# right they are spread over the grid again: the step downhill, $-d\theta\,(x, y, 1)^{\mathsf T}$. (The longest arrow is drawn with the same
# length in every panel; only the directions, and the lengths within one panel, can be compared.) The step moves the grid to the right and
# upwards, as was wanted.
#
# ## Few parameters: the chain rule through the matrix
#
# The smaller families put a map p → theta before the affine grid. dtheta is known by now, and p moves theta's six entries, so
#
# $$dp = \sum_{r,k} d\theta_{rk}\,\frac{\partial \theta_{rk}}{\partial p} .$$
#
# **Translation**, p = (tx, ty), has them in the last column, and nothing else moves:
#
# $$\theta = \begin{pmatrix} 1 & 0 & t_x \\ 0 & 1 & t_y \end{pmatrix}, \qquad dt_x = d\theta_{13}, \quad dt_y = d\theta_{23} .$$
#
# That is the plain sum of dgrid. The other four entries of dtheta meet constants, and are dropped.
#
# **Attention**, equation 2 of the paper, p = (s, tx, ty). The scale s stands at two places, so it gets two terms:
#
# $$\theta = \begin{pmatrix} s & 0 & t_x \\ 0 & s & t_y \end{pmatrix}, \qquad ds = d\theta_{11} + d\theta_{22} .$$


# %%
def check_family(name, params, by_hand):
    """Ask the witnesses about the matrix alone, then about matrix and grid together."""
    matrix = [getattr(stnref, f"{name}_matrix_{part}") for part in ("forward", "backward", "jvp")]
    theta, _ = matrix[0](params)
    dtheta = np.einsum("bijr,ijk->brk", dgrid, x_y_1)  # linear in theta: the same for every theta
    ask_witnesses(*matrix, params, dtheta, by_hand(params, dtheta))
    whole = stnref.get_transform(name, (5, 4))
    np.testing.assert_allclose(whole.forward(params)[0], stnref.affine_grid(theta, G), atol=1e-15)
    ask_witnesses(*whole[2:], params, dgrid, by_hand(params, dtheta))


# %%
def translation_by_hand(params, dtheta):
    return dtheta[:, :, 2]


def attention_by_hand(params, dtheta):
    ds = dtheta[:, 0, 0] + dtheta[:, 1, 1]
    return np.stack([ds, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=-1)


check_family("translation", np.array([[0.2, -0.1]]), translation_by_hand)
check_family("attention", np.array([[0.6, 0.2, -0.1]]), attention_by_hand)

# %% [markdown]
# **Rigid**, p = (a, tx, ty), a rotation by the angle a. Let c = cos a and z = sin a. Their derivatives are $\partial c/\partial a = -z$ and
# $\partial z/\partial a = c$. In two steps: each of c and z stands at two places, one of them with a minus sign,
#
# $$\theta = \begin{pmatrix} c & -z & t_x \\ z & c & t_y \end{pmatrix}, \qquad
# dc = d\theta_{11} + d\theta_{22}, \quad dz = d\theta_{21} - d\theta_{12}, \qquad da = -z\,dc + c\,dz .$$
#
# **Similarity**, p = (s, a, tx, ty), has s c and s z at the places of c and z. Let dc and dz now be the gradients by the two products;
# they are the same two sums. The product rule gives $\partial(sc)/\partial s = c$, $\partial(sc)/\partial a = -s z$ and so on:
#
# $$ds = c\,dc + z\,dz, \qquad da = s\,(-z\,dc + c\,dz) .$$


# %%
def similarity_by_hand(params, dtheta):
    s, a, _, _ = params.T
    c, z = np.cos(a), np.sin(a)
    dc = dtheta[:, 0, 0] + dtheta[:, 1, 1]
    dz = dtheta[:, 1, 0] - dtheta[:, 0, 1]
    ds, da = c * dc + z * dz, s * (-z * dc + c * dz)
    return np.stack([ds, da, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=-1)


def rigid_by_hand(params, dtheta):
    s_is_1 = np.insert(params, 0, 1, axis=1)
    return similarity_by_hand(s_is_1, dtheta)[:, 1:]


# %%
check_family("rigid", np.array([[0.5, 0.3, -0.2]]), rigid_by_hand)
check_family("similarity", np.array([[0.6, 0.5, 0.3, -0.2]]), similarity_by_hand)

# %% [markdown]
# ## What the angle feels
#
# Leave the matrix out, and look at the points. For a similarity, $x^s - t_x = s\,(c x - z y)$ and $y^s - t_y = s\,(z x + c y)$.
# Differentiate by a:
#
# $$\frac{\partial x^s}{\partial a} = s\,(-z x - c y) = -(y^s - t_y), \qquad
# \frac{\partial y^s}{\partial a} = s\,(c x - z y) = x^s - t_x .$$
#
# These arrows are at right angles to the line from the centre (tx, ty) to the point. And by s:
# $\partial\,\mathrm{grid}/\partial s = (\mathrm{grid} - t)/s$, along that line. So
#
# $$da = \sum_{i,j} (x^s - t_x)\,dy - (y^s - t_y)\,dx, \qquad ds = \frac 1 s \sum_{i,j} (x^s - t_x)\,dx + (y^s - t_y)\,dy .$$
#
# If dgrid is a field of forces, the shift feels the total force, the angle the *torque* about (tx, ty), and the scale the stretch.

# %%
params = np.array([[0.6, 0.5, 0.3, -0.2]])
small = stnref.get_transform("similarity", (5, 4))
points, cache = small.forward(params)
x, y = np.moveaxis(points - params[0, 2:], -1, 0)  # from the centre
dx, dy = np.moveaxis(dgrid, -1, 0)
torque, stretch = (x * dy - y * dx).sum(), (x * dx + y * dy).sum() / params[0, 0]
ds, da, dtx, dty = small.backward(dgrid, cache)[0]
np.testing.assert_allclose([torque, stretch], [da, ds], rtol=1e-12)
np.testing.assert_allclose([dx.sum(), dy.sum()], [dtx, dty], rtol=1e-12)

# %%
families = [
    ("translation", [0.3, -0.2], 0, "$t_x$"),
    ("translation", [0.3, -0.2], 1, "$t_y$"),
    ("attention", [0.6, 0.3, -0.2], 0, "$s$"),
    ("rigid", [0.5, 0.3, -0.2], 0, "$a$"),
    ("similarity", [0.6, 0.5, 0.3, -0.2], 0, "$s$"),
    ("similarity", [0.6, 0.5, 0.3, -0.2], 1, "$a$"),
]

# %%
figure, axes = plt.subplots(
    2, 3, figsize=(8.4, 5.8), layout="constrained", sharex=True, sharey=True
)
for ax, (name, values, k, letter) in zip(axes.ravel(), families, strict=True):
    arrows(ax, *sensitivity(stnref.get_transform(name, (7, 7)), np.array(values), k))
    ax.plot(0.3, -0.2, "C1*", ms=11)
    ax.set(title=f"{name}, $\\partial\\,$grid / $\\partial\\,${letter}", xlim=(-1.4, 2.0))
    ax.set_ylim(1.5, -1.9)
figure.supxlabel("x (normalised); the star is (tx, ty)")
figure.supylabel("y (normalised), down")

# %% [markdown]
# The arrows sit on the grid in the source. By tx and ty all are equal. By s they lead away from the star, and by a around it; both grow
# with the distance to the star, and in the star they are zero. With y down, a positive angle turns the grid clockwise.
#
# ## Projective: the quotient rule
#
# A homography has nine entries, in the rows $\theta_1, \theta_2, \theta_3$. With $\beta = (x, y, 1)$ the target pixel again,
#
# $$X = \theta_1 \cdot \beta, \quad Y = \theta_2 \cdot \beta, \quad Z = \theta_3 \cdot \beta, \qquad
# x^s = \frac X Z, \quad y^s = \frac Y Z .$$
#
# First by X, Y and Z, as scalars. X stands in $x^s$ only, Y in $y^s$ only, Z in both:
#
# $$\frac{\partial x^s}{\partial X} = \frac 1 Z, \qquad \frac{\partial y^s}{\partial Y} = \frac 1 Z, \qquad
# \frac{\partial x^s}{\partial Z} = -\frac{X}{Z^2} = -\frac{x^s}{Z}, \qquad \frac{\partial y^s}{\partial Z} = -\frac{y^s}{Z} .$$
#
# So each pixel has
#
# $$dX = \frac{dx}{Z}, \qquad dY = \frac{dy}{Z}, \qquad dZ = -\frac{x^s\,dx + y^s\,dy}{Z} ,$$
#
# and as X, Y and Z are linear in theta with the factors β, the rest is the affine sum, with three rows:
# $d\theta_r = \sum_{i,j} (dX, dY, dZ)_r\,\beta$.


# %%
def projective_by_hand(theta, G, dgrid):
    """All nine gradients, for points in front of the horizon."""
    x_y_1 = np.concatenate([G, np.ones_like(G[..., :1])], axis=-1)
    X, Y, Z = np.moveaxis(np.einsum("brk,ijk->bijr", theta, x_y_1), -1, 0)
    dx, dy = np.moveaxis(dgrid, -1, 0)
    dX, dY = dx / Z, dy / Z
    dZ = -(X / Z * dx + Y / Z * dy) / Z
    return np.einsum("bijr,ijk->brk", np.stack([dX, dY, dZ], axis=-1), x_y_1)


# %%
tilted = np.array([[[0.9, 0.1, 0.05], [-0.1, 0.8, 0.1], [0.2, -0.3, 1.0]]])
dtilted = projective_by_hand(tilted, G, dgrid)
ask_witnesses(
    lambda theta: stnref.projective_grid_forward(theta, G),
    stnref.projective_grid_backward,
    stnref.projective_grid_jvp,
    tilted,
    dgrid,
    dtilted,
)

# %% [markdown]
# `get_transform("projective", …)` holds the ninth entry at 1, so its gradient is the first eight of these.

# %%
projective = stnref.get_transform("projective", (5, 4))
ask_witnesses(*projective[2:], tilted.reshape(1, 9)[:, :8], dgrid, dtilted.reshape(1, 9)[:, :8])

# %% [markdown]
# ## The horizon
#
# Where Z = 0 the point is infinitely far away, and where Z < 0 it lies behind the viewer. The library *hides* such points: it sends them to
# a place outside every picture, and their gradient is zero. By hand that is a mask on dgrid. In the code below the horizon is at y = -0.8:
# Z = 1 + 1.25 y.

# %%
steep = np.array([[[1.0, 0, 0], [0, 1, 0], [0, 1.25, 1]]])
points, cache = stnref.projective_grid_forward(steep, G)
hidden = (points == transforms.FAR).all(axis=-1, keepdims=True)
print("hidden in each row:", hidden[0, :, :, 0].sum(axis=1))
assert hidden[0, 0].all()
assert not hidden[0, 1:].any()
visible_only = np.where(hidden, 0, dgrid)
ask_witnesses(
    lambda theta: stnref.projective_grid_forward(theta, G),
    stnref.projective_grid_backward,
    stnref.projective_grid_jvp,
    steep,
    dgrid,
    projective_by_hand(steep, G, visible_only),
)

# %% [markdown]
# The first row of the output is behind the horizon, and no other. What happens just before it? With respect to $\theta_{32}$, the entry
# that tilts about the x axis, $\partial x^s/\partial\theta_{32} = -X y / Z^2$. It grows like 1/Z². Follow a column of target points,
# those with x = 0.5:

# %%
column = np.stack([np.full(2001, 0.5), np.linspace(-1, 1, 2001)], axis=-1)[:, None]  # (2001, 1, 2)
points, cache = stnref.projective_grid_forward(steep, column)
slope = stnref.projective_grid_jvp(np.eye(9)[7].reshape(1, 3, 3), cache)[0, :, 0, 0]
y_t, visible = column[:, 0, 1], points[0, :, 0, 0] != transforms.FAR
Z = 1 + 1.25 * y_t[visible]
np.testing.assert_allclose(slope[visible], -0.5 * y_t[visible] / Z**2, rtol=1e-9, atol=1e-15)
assert (slope[~visible] == 0).all()
inside = (np.abs(points[0, :, 0]) < 1 + 2 / 27).all(axis=-1)
print(f"up to the border {np.abs(slope[inside]).max():.3f}, of all {np.abs(slope).max():.1e}")
assert np.abs(slope[inside]).max() < 1
assert np.abs(slope).max() > 1e5

# %% [markdown]
# `inside` are the samples that lie in a picture of 28 x 28 pixels, or less than one pixel beyond its border. With zeros padding no other
# has a gradient:

# %%
noise = rng.normal(size=(1, 28, 28, 1))
V, sample_cache = stnref.grid_sample_forward(noise, points)
_, noise_dgrid = stnref.grid_sample_backward(np.ones_like(V), sample_cache, needs=["grid"])
assert (noise_dgrid[0, ~inside] == 0).all()
assert (noise_dgrid[0, inside] != 0).all()

# %%
wide = stnref.get_transform("projective", (7, 7))
shown = np.where(visible & (y_t < 0), slope, np.nan)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
for ax, k in zip(axes, (6, 7), strict=False):
    arrows(ax, *sensitivity(wide, wide.identity, k))
    title = f"$\\partial\\,$grid / $\\partial\\,\\theta_{{3{k - 5}}}$ at the identity"
    ax.set(title=title, xlabel="x (normalised)", ylabel="y (normalised), down")
axes[2].axvspan(-1, -0.8, color="0.85", label="hidden: gradient 0")
axes[2].semilogy(y_t, shown, "C0--", label="outside: dgrid = 0")
axes[2].semilogy(y_t, np.where(inside, shown, np.nan), "C1", lw=3, label="inside")
axes[2].set(xlabel="y of the target point (normalised)", xlim=(-1, 0), ylim=(1e-2, 1e6))
axes[2].set(title=r"$\partial x^s / \partial\,\theta_{32}$ up to the horizon")
axes[2].legend(loc="upper right")

# %% [markdown]
# At the identity $\theta_{31}$ and $\theta_{32}$ have the fields $-x\,(x, y)$ and $-y\,(x, y)$: they are quadratic, one half of the grid
# shrinks towards the centre and the other half grows. On the right the slope grows without bound towards the horizon. But there the samples
# are outside of the picture (dashed) and have no gradient; up to the border (thick) the factor stays below 1. The gradient has faded away
# before the horizon is reached, and to hide what lies behind it brings no jump.
#
# ## Basis grids: the backward is the transpose
#
# Look back at the affine grid: the derivation used that the grid is *linear* in theta, and nothing about x, y and 1. Take any K functions
# $B_k$ of the target pixel, the *basis*, and give each one a vector $\theta_k = (\theta_{kx}, \theta_{ky})$:
#
# $$\mathrm{grid}_{ij} = \sum_{k} B_{ij,k}\,\theta_k, \qquad \frac{\partial x^s_{ij}}{\partial \theta_{kx}} = B_{ij,k}, \qquad
# d\theta_k = \sum_{i,j} B_{ij,k}\,d\mathrm{grid}_{ij} .$$
#
# Write the pixels (i, j) as one long axis. Then B is a matrix, the forward is $B\,\theta$ and the backward $B^{\mathsf T} d\mathrm{grid}$.
# Only the basis is left to be found, and it has no parameters.
#
# **Thin plate.** theta are the places in the source of K control points $c_k$ of the target. In between, the map is to bend as little as
# possible. Each coordinate of it then has the form below, where $r_k$ is the distance from (x, y) to $c_k$; the page on
# transforms proves it:
#
# $$f(x, y) = \sum_k w_k\,\varphi(r_k) + v_0 + v_1 x + v_2 y, \qquad \varphi(r) = r^2 \log r^2 .$$
#
# The K + 3 coefficients w and v follow from $f(c_k) = \theta_k$ and three side conditions: the $w_k$ sum to zero by themselves, weighted
# with the x of $c_k$, and weighted with its y. This is one linear system with a matrix S, $S\,(w, v) = (\theta, 0)$.
# (In notebook 3 they are a and L in place of v and S; here a is the angle and L the loss.) So w and v are linear
# in theta, and B is the row $(\varphi(r_1), \dots, \varphi(r_K), 1, x, y)$ times the first K columns of $S^{-1}$.


# %%
def plate(points, controls):
    r2 = ((points[:, None] - controls) ** 2).sum(axis=-1)
    return r2 * np.log(np.where(r2 > 0, r2, 1))  # phi(0) = 0


def thin_plate_by_hand(controls, G):
    at, K = G.reshape(-1, 2), len(controls)
    ones = np.insert(controls, 0, 1, axis=1)  # (K, 3)
    S = np.block([[plate(controls, controls), ones], [ones.T, np.zeros((3, 3))]])
    rows = np.concatenate([plate(at, controls), np.insert(at, 0, 1, axis=1)], axis=1)
    return (rows @ np.linalg.inv(S))[:, :K].reshape(*G.shape[:2], K)


# %% [markdown]
# **B-spline.** theta are the places of a lattice of control points, with a spacing h, a little larger than the picture. Around each is a
# bump, a cubic polynomial in pieces. With t the distance in spacings,
#
# $$b(t) = \tfrac23 - t^2 + \tfrac12 |t|^3 \ \text{ for } |t| < 1, \qquad
# \tfrac16 (2 - |t|)^3 \ \text{ for } 1 \le |t| < 2, \qquad 0 \ \text{ beyond.}$$
#
# In the plane the basis is a product $b_x\,b_y$, the bump of the distance along x times that of the distance along y, and no system needs
# to be solved. (The page on transforms calls b, t and h by the letters κ, s and η.)


# %%
def bump(t):
    t = np.abs(t)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.maximum(2 - t, 0) ** 3 / 6)


def bspline_by_hand(count, G):
    """A lattice of count x count control points; h = 2 / (count - 3), the first at -1 - h."""
    h = 2 / (count - 3)
    controls = -1 + (np.arange(count) - 1) * h  # along one axis
    b_x, b_y = (bump((G[..., axis, None] - controls) / h) for axis in (0, 1))
    return (b_y[..., :, None] * b_x[..., None, :]).reshape(*G.shape[:2], count**2)


# %%
controls = transforms.regular_points((4, 4))
lattice = transforms.bspline_points((6, 6))
bases = {"thin plate": thin_plate_by_hand(controls, G), "B-spline": bspline_by_hand(6, G)}
of_the_library = stnref.thin_plate_basis(controls, G), stnref.bspline_basis((6, 6), G)
for (name, B), library, rest in zip(
    bases.items(), of_the_library, (controls, lattice), strict=True
):
    np.testing.assert_allclose(B, library, atol=1e-13)
    np.testing.assert_allclose(B.sum(axis=-1), 1, atol=1e-13)  # all points shift: the grid shifts
    np.testing.assert_allclose(B @ rest, G, atol=1e-13)  # all points at rest: the identity
    print(f"{name}: B has {B.shape[-1]} columns, the smallest entry is {B.min():.3f}")

# %% [markdown]
# Now the gradient. One line, for both:

# %%
for B, rest in zip(bases.values(), (controls, lattice), strict=True):
    theta = rest[None] + 0.1 * rng.normal(size=(1, *rest.shape))
    dtheta = np.einsum("ijk,bijr->bkr", B, dgrid)
    as_matrix = B.reshape(20, -1).T @ dgrid.reshape(20, 2)  # B^T dgrid
    np.testing.assert_allclose(dtheta[0], as_matrix, rtol=1e-12, atol=1e-12)
    ask_witnesses(
        lambda theta, B=B: stnref.basis_grid_forward(theta, B),
        stnref.basis_grid_backward,
        stnref.basis_grid_jvp,
        theta,
        dgrid,
        dtheta,
    )

# %% [markdown]
# `get_transform` has them by the names "tps" and "bspline", with the parameters in one row: x, y of the first control point, of the second,
# and so on.

# %%
for name, size, B in (("tps", (4, 4), bases["thin plate"]), ("bspline", (6, 6), bases["B-spline"])):
    spline = stnref.get_transform(name, (5, 4), control_shape=size)
    params = spline.identity[None] + 0.1 * rng.normal(size=(1, spline.n_params))
    by_hand = np.einsum("ijk,bijr->bkr", B, dgrid).reshape(1, -1)
    ask_witnesses(*spline[2:], params, dgrid, by_hand)

# %% [markdown]
# ## The basis functions as maps
#
# A column of B, laid out as a picture, shows how far each target point follows when one control point moves by 1. The same picture is read
# by the backward: it is the weight with which each pixel's dgrid goes into the gradient of this control point.

# %%
fine = stnref.target_grid((81, 81))
maps = {
    "thin plate": (controls, stnref.thin_plate_basis(controls, fine), (0, 1, 5)),
    "B-spline": (lattice, stnref.bspline_basis((6, 6), fine), (7, 8, 14)),
}

# %%
e = 1 + 1 / 80  # the outer pixels' borders; their centres are at 1
figure, axes = plt.subplots(2, 3, figsize=(9, 6), layout="constrained", sharex=True, sharey=True)
for row, (name, (points, B, which)) in zip(axes, maps.items(), strict=True):
    for ax, k in zip(row, which, strict=True):
        drawn = ax.imshow(B[..., k], "RdBu", vmin=-1, vmax=1, extent=(-e, e, e, -e))
        ax.contour(B[..., k], [0], colors="0.6", linewidths=0.8, extent=(-1, 1, -1, 1))
        ax.plot(*points.T, "k.", ms=3)
        ax.plot(*points[k], "C1o", ms=8, mec="k")
        ax.set(title=f"{name}, control point {k}", xlim=(-1.15, 1.15), ylim=(1.15, -1.15))
    figure.colorbar(drawn, ax=row, label="B, no unit (white: 0)")
figure.supxlabel("x (normalised)")
figure.supylabel("y (normalised), down")

# %% [markdown]
# The orange disc is the control point, the dots are the others. The grey line is where B becomes zero. A plate bends everywhere: its maps
# reach over the whole picture and change their sign (red), so that points far away go a little in the opposite direction. A B-spline's bump
# ends two spacings away, and is never negative. Its largest value is 4/9 and not 1: the grid does not go through its control points.
#
# The same as arrows, one parameter each. The third panel is the flow's, which comes below.

# %%
plates = stnref.get_transform("tps", (9, 9))
bumps = stnref.get_transform("bspline", (9, 9), control_shape=(6, 6))
G_9 = stnref.target_grid((9, 9))
one_number = np.zeros((1, 9, 9, 2))
one_number[0, 2, 3, 0] = 1
_, flow_cache = stnref.flow_grid_forward(one_number, G_9)
fields = {
    "tps: x of control point 5": sensitivity(plates, plates.identity, 2 * 5),
    "bspline: y of control point 14": sensitivity(bumps, bumps.identity, 2 * 14 + 1),
    "flow: x of pixel (i, j) = (2, 3)": (G_9, stnref.flow_grid_jvp(one_number, flow_cache)[0]),
}

# %%
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.9), layout="constrained", sharey=True)
for ax, (title, (at, field)) in zip(axes, fields.items(), strict=True):
    arrows(ax, at, field)
    ax.set_title(title)
figure.supxlabel("x (normalised)")
figure.supylabel("y (normalised), down")

# %% [markdown]
# The B-spline moves a patch, and the flow one point. The plate moves all points; but those beyond the neighbours of the control point go by
# less than a tenth of what it does itself, too little to be seen here.

# %%
x_away, y_away = np.abs(np.moveaxis(fine - controls[5], -1, 0))
beyond = np.maximum(x_away, y_away) > 2 / 3  # the spacing of the control points
far_away = maps["thin plate"][1][beyond, 5]
print(f"beyond the neighbours from {far_away.min():.3f} to {far_away.max():.3f}")
assert -0.1 < far_away.min() < 0 < far_away.max() < 0.1

# %% [markdown]
# The same in numbers: let only one pixel have a gradient. How many control points hear of it? Of a plate with 7 x 7 control points all, of
# the B-spline those in a 4 x 4 neighbourhood.

# %%
off_lattice = np.array([[[0.13, -0.21]]])  # one target pixel
heard = [
    int(np.count_nonzero(np.abs(B) > 1e-9))
    for B in (
        stnref.thin_plate_basis(transforms.regular_points((7, 7)), off_lattice),
        stnref.bspline_basis((7, 7), off_lattice),
    )
]
print("control points with a gradient:", heard, "of 49")
assert heard == [49, 16]
at_the_point = stnref.bspline_basis((6, 6), lattice[14].reshape(1, 1, 2))[0, 0, 14]
np.testing.assert_allclose(at_the_point, 4 / 9, rtol=1e-14)

# %% [markdown]
# ## Flow: the identity
#
# The largest family gives every target pixel a displacement of its own: grid = G + flow. Each number of the flow moves one coordinate of
# one pixel, by as much:
#
# $$\frac{\partial\,\mathrm{grid}}{\partial\,\mathrm{flow}} = 1, \qquad d\mathrm{flow} = d\mathrm{grid} .$$
#
# There is no sum, because no parameter is shared. It is the basis grid with B the unit matrix.

# %%
flow = 0.1 * rng.normal(size=(1, 5, 4, 2))
ask_witnesses(
    lambda flow: stnref.flow_grid_forward(flow, G),
    stnref.flow_grid_backward,
    stnref.flow_grid_jvp,
    flow,
    dgrid,
    dgrid,
)

# %% [markdown]
# ## One dgrid, all families
#
# Back to the digit, and to the dgrid of its loss. Every family reads the same dgrid with its own sensitivities, and steps downhill. With J
# the matrix of all sensitivities (a column for each parameter), the step of the parameters is $-J^{\mathsf T} d\mathrm{grid}$, and that of
# the grid is $-J J^{\mathsf T} d\mathrm{grid}$.

# %%
names = ["translation", "attention", "similarity", "affine", "projective", "bspline", "tps"]
steps, shares, target = {}, {}, picture_dgrid.ravel()
for name in names:
    family = stnref.get_transform(name, (12, 12))
    _, cache = family.forward(family.identity[None])
    dparams = family.backward(picture_dgrid, cache)
    steps[f"{name}, {family.n_params}"] = family.jvp(-dparams, cache)
    columns = [sensitivity(family, family.identity, k)[1] for k in range(family.n_params)]
    J = np.stack([column.ravel() for column in columns], axis=-1)  # (288, n_params)
    np.testing.assert_allclose(J.T @ target, dparams[0], rtol=1e-11, atol=1e-11)
    best = J @ np.linalg.lstsq(J, target, rcond=None)[0]
    shares[name] = (best @ best) / (target @ target)
steps[f"flow, {target.size}"] = -picture_dgrid

# %%
figure, axes = plt.subplots(2, 4, figsize=(11, 5.9), layout="constrained", sharex=True, sharey=True)
for ax, (title, field) in zip(axes.ravel(), steps.items(), strict=True):
    arrows(ax, stnref.target_grid((12, 12)), field[0], colour="C1" if "flow" in title else "C0")
    ax.set(title=f"{title} parameters", xlim=(-1.3, 1.3), ylim=(1.3, -1.3))
figure.suptitle("What each family makes of the same dgrid (arrows to scale within a panel only)")
figure.supxlabel("x (normalised)")
figure.supylabel("y (normalised), down")

# %% [markdown]
# The last panel is -dgrid itself. Translation keeps one vector of it, the sum; the families up to projective let it vary smoothly. The
# plate comes closest to the flow. The B-spline, with as many parameters as the plate, makes nearly a translation: with 4 x 4 control points
# the bumps are so wide that neighbours overlap almost everywhere, and the pulls of all parts are mixed in every control point.
#
# That is the *step* of plain gradient descent. How much of dgrid *could* a family follow? Take the combination of its sensitivities that
# comes closest to dgrid, and compare the sums of squares.

# %%
for name, share in shares.items():
    print(f"{name:12s} {100 * share:5.1f} %")
nested = ["translation", "attention", "similarity", "affine", "projective"]
assert (np.diff([shares[name] for name in nested]) >= 0).all()
assert min(shares["tps"], shares["bspline"]) > shares["affine"]
assert max(shares.values()) < 1  # only the flow follows all of it


# %% [markdown]
# And the steps of the figure: how well do their directions agree? The cosine between two fields is the sum
# of their products divided by both lengths; it is 1 if they are parallel.


# %%
def cosine(a, b):
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


to_flow = {title: cosine(field, -picture_dgrid) for title, field in steps.items()}
for title, value in to_flow.items():
    print(f"{title:15s} with -dgrid {value:.2f}")
assert sorted(to_flow, key=to_flow.get)[-2:] == ["tps, 32", "flow, 288"]
both = cosine(steps["translation, 2"], steps["bspline, 32"])
print(f"translation with bspline {both:.3f}")
assert both > 0.95

# %% [markdown]
# A family that contains another one has all of its fields, so along such a chain the share can only grow. Here translation, attention,
# similarity, affine and projective are such a chain, and both splines contain affine. The B-spline could follow half of dgrid, and its
# first step does not: what a family can do, and what one step along the gradient does, are two questions. And a share is a statement about
# one dgrid, not about quality: who can follow every pixel also follows what only a few pixels ask for.
#
# ## Summary
#
# | family | sensitivity | gradient |
# |---|---|---|
# | affine | x, y or 1, along one axis | $d\theta = \sum d\mathrm{grid}\,(x, y, 1)^{\mathsf T}$ |
# | translation | constant | the sum of dgrid |
# | attention, similarity: s | away from (tx, ty) | the stretch |
# | rigid, similarity: a | around (tx, ty) | the torque |
# | projective | as affine, divided by Z; the third row quadratic | dX, dY, dZ, each with β |
# | thin plate, B-spline | a column of B | $B^{\mathsf T} d\mathrm{grid}$ |
# | flow | one pixel | dgrid itself |
#
# ## Exercises
#
# **1.** Let dgrid be the same vector (1, 0) at every target pixel. Which entries of the affine dtheta are not zero?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Only $d\theta_{13}$; it is the number of pixels. dy is zero, so the second row is. In the first row stand the sums of x and of y, and they
# vanish because the target grid is symmetric about 0. A common pull asks for a shift, and for nothing else.
#
# </details>

# %% tags=["hide-cell"]
_, cache = stnref.affine_grid_forward(np.eye(2, 3)[None], G)
pull = np.zeros((1, 5, 4, 2))
pull[..., 0] = 1
answer = stnref.affine_grid_backward(pull, cache)[0]
np.testing.assert_allclose(answer, [[0, 0, 20], [0, 0, 0]], atol=1e-14)

# %% [markdown]
# **2.** Turn the grid about the corner q = (-1, -1) of the picture and not about its centre: grid = R (G - q) + q. The angle a is
# the only parameter, and R = ((c, -z), (z, c)). What is da, with dtheta and without it?

# %% [markdown]
# <details><summary>Answer</summary>
#
# The last column of theta is now $q - R q$, so the angle stands there too:
# $\theta_{13} = q_x - c\,q_x + z\,q_y$ and $\theta_{23} = q_y - z\,q_x - c\,q_y$. Their derivatives by a are $z\,q_x + c\,q_y$ and
# $-c\,q_x + z\,q_y$. To the da of the rigid family comes $d\theta_{13}\,(z\,q_x + c\,q_y) + d\theta_{23}\,(-c\,q_x + z\,q_y)$.
# Without dtheta it is the torque again, about q.
#
# </details>

# %% tags=["hide-cell"]
(qx, qy), a = (-1.0, -1.0), 0.4


def about_corner(a):
    c, z = np.cos(a), np.sin(a)
    return np.array([[[c, -z, qx - c * qx + z * qy], [z, c, qy - z * qx - c * qy]]])


dtheta, (c_, z_) = np.einsum("bijr,ijk->brk", dgrid, x_y_1)[0], (np.cos(a), np.sin(a))
da = -z_ * (dtheta[0, 0] + dtheta[1, 1]) + c_ * (dtheta[1, 0] - dtheta[0, 1])
da += dtheta[0, 2] * (z_ * qx + c_ * qy) + dtheta[1, 2] * (-c_ * qx + z_ * qy)
turned = stnref.affine_grid(about_corner(a + 1e-100j), G)
np.testing.assert_allclose(da, (dgrid * turned.imag).sum() / 1e-100, rtol=1e-12)
x, y = np.moveaxis(turned.real - [qx, qy], -1, 0)
np.testing.assert_allclose(da, (x * dgrid[..., 1] - y * dgrid[..., 0]).sum(), rtol=1e-12)

# %% [markdown]
# **3.** For a homography the sum of $d\theta_{rk}\,\theta_{rk}$ over all nine entries is zero, whatever dgrid is. Why?
# And what is the gradient at 2 theta?

# %% [markdown]
# <details><summary>Answer</summary>
#
# A positive factor u on theta cancels in X/Z and Y/Z, so L(u theta) = L(theta). Differentiate by u at u = 1: the chain rule makes of the
# left side the sum of $d\theta_{rk}\,\theta_{rk}$, and the right side gives 0. The gradient is at right angles to theta. Differentiate by
# theta instead: u times the gradient at u theta is the gradient at theta. So at 2 theta it is one half.
#
# </details>

# %% tags=["hide-cell"]
np.testing.assert_allclose((dtilted * tilted).sum(), 0, atol=1e-13)
np.testing.assert_allclose(projective_by_hand(2 * tilted, G, dgrid), dtilted / 2, rtol=1e-12)

# %% [markdown]
# **4.** A net predicts a flow in pixels of the input, a picture of H rows and W columns, with aligned corners.
# What is its gradient, in terms of dgrid?

# %% [markdown]
# <details><summary>Answer</summary>
#
# One unit of the grid is (W - 1)/2 pixels in x and (H - 1)/2 in y, so flow = 2 (pixels in x)/(W - 1), and likewise for y. The sensitivity
# is this factor, and the gradient is dgrid times (2/(W - 1), 2/(H - 1)). It is the same as the sampler's gradient by its points.
#
# </details>

# %% tags=["hide-cell"]
U, (H, W) = blurred, (28, 28)
in_pixels = rng.uniform(-2, 2, (1, 12, 12, 2))
units = np.array([2 / (W - 1), 2 / (H - 1)])
grid, _ = stnref.flow_grid_forward(in_pixels * units, stnref.target_grid((12, 12)))
V, cache = stnref.grid_sample_forward(U, grid)
_, some_dgrid = stnref.grid_sample_backward(np.ones_like(V), cache, needs=["grid"])
_, dpoints = stnref.sample_backward(np.ones_like(V), cache.sample)
np.testing.assert_allclose(some_dgrid * units, dpoints, rtol=1e-12, atol=1e-15)
