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
# # 12. Second derivatives and forward mode
#
# **What you will do.** Push a small change forward through the sampler, differentiate its backward once more, use that in two losses
# that contain a gradient, and align two pictures in a few Newton steps.
#
# **What you will learn.** When forward mode is cheaper than backward; what is left of the second derivative of bilinear sampling,
# and what is lost; why Newton's method may do better without the lost part.
#
# **What you need.** [Backpropagation](05_backpropagation.ipynb). The algebra, with numbers (S7), (S14) and (S15), is on the page
# [sampler](https://github.com/stnref/stnref/blob/main/docs/derivations/sampler.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import kernels, nn, viz
from stnref.data import draw_digits

rng = np.random.default_rng(0)
h = 1e-100  # the complex step: Im f(x + ih)/h is f'(x) to the last digit

# %% [markdown]
# ## Forward mode: the tangent map
#
# Move the inputs a little, in a direction $(\dot U, \dot x, \dot y)$. How does V move? The dot means: derivative along that direction.
# V is $S\,U$, where the matrix S holds the weights k(x - m) k(y - n) of every sample i and pixel (n, m). With $S_x$ for the same matrix
# with the slope k'(x - m) in place of k(x - m), and $S_y$ likewise, the product rule gives (S7)
#
# $$\dot V_i = (S\,\dot U)_i + \dot x_i\,(S_x U)_i + \dot y_i\,(S_y U)_i .$$
#
# This map is the **jvp** (Jacobian times vector). It starts at the inputs and runs *with* the computation; the backward starts at the
# loss and runs *against* it. The chain from theta to V is one jvp after the other:

# %%
U = rng.normal(size=(1, 6, 5, 2))
G = stnref.target_grid((4, 3))
theta = np.array([[[0.7, 0.2, 0.05], [-0.1, 0.8, 0.02]]])
grid, grid_cache = stnref.affine_grid_forward(theta, G)
V, cache = stnref.grid_sample_forward(U, grid)

theta_dot = rng.normal(size=theta.shape)
grid_dot = stnref.affine_grid_jvp(theta_dot, grid_cache)
V_dot = stnref.grid_sample_jvp(None, grid_dot, cache)  # None: U stays
moved = stnref.grid_sample(U, stnref.affine_grid(theta + 1j * h * theta_dot, G))
np.testing.assert_allclose(V_dot, moved.imag / h, rtol=1e-12)

# %% [markdown]
# **The dot test.** Let J be the Jacobian, with the entries ∂V/∂theta. The jvp multiplies by J and the backward by $J^{\mathsf T}$.
# So for any direction and any upstream gradient dV
#
# $$\langle dV,\, \dot V\rangle = \langle dV,\, J\dot\theta\rangle = \langle J^{\mathsf T} dV,\, \dot\theta\rangle
# = \langle d\theta,\, \dot\theta\rangle .$$

# %%
dV = rng.normal(size=V.shape)
_, dgrid = stnref.grid_sample_backward(dV, cache)
dtheta = stnref.affine_grid_backward(dgrid, grid_cache)
print((dV * V_dot).sum(), (dtheta * theta_dot).sum())
np.testing.assert_allclose((dV * V_dot).sum(), (dtheta * theta_dot).sum(), rtol=1e-12)

# %% [markdown]
# ## Which one is cheaper?
#
# One jvp gives one *column* of J (one input, all outputs). One backward gives one *row* (one output, all inputs). Both cost about one
# pass. Here J has 24 rows (4 x 3 pixels, 2 channels) and 6 columns, and both ways give the same J:

# %%
units = np.eye(6).reshape(6, 1, 2, 3)
columns = [
    stnref.grid_sample_jvp(None, stnref.affine_grid_jvp(e, grid_cache), cache) for e in units
]
by_columns = np.stack([c.ravel() for c in columns], axis=1)

rows = []
for e in np.eye(24).reshape(24, *V.shape):
    _, dgrid = stnref.grid_sample_backward(e, cache, needs=["grid"])
    rows.append(stnref.affine_grid_backward(dgrid, grid_cache).ravel())
np.testing.assert_allclose(by_columns, np.stack(rows), atol=1e-14)
print(f"J is {by_columns.shape}: {len(columns)} passes forward, or {len(rows)} passes backward")

# %% [markdown]
# The rule: *few inputs and many outputs, forward; many inputs and one output, backward*. A loss is one number, so training runs
# backward. But from a few parameters to a whole picture forward is the right way. Take a blurred digit and a similarity, whose
# parameters are the scale s, the angle (in radians) and the shift tx, ty (in normalised units). Four passes give all of
# J, 784 x 4; backward would need 784.

# %%
picture = draw_digits(1, np.random.default_rng(12), labels=[5]).images.astype(float)
box = np.full((7, 7, 1, 1), 1 / 49)
for _ in range(2):
    picture, _ = nn.conv2d_forward(picture, box, np.zeros(1), padding=3)  # (1, 28, 28, 1)
picture /= picture.max()

similarity = stnref.get_transform("similarity", (28, 28))
NAMES = ["s", "angle", "tx", "ty"]
smooth = kernels.bspline3()  # a kernel without kinks; more of it below


# %%
def sample(params, kernel=smooth):
    grid, grid_cache = similarity.forward(params)
    V, cache = stnref.grid_sample_forward(picture, grid, mode=kernel)
    return V, grid_cache, cache


def jacobian(params, kernel=smooth):
    _, grid_cache, cache = sample(params, kernel)
    dots = [similarity.jvp(e[None], grid_cache) for e in np.eye(4)]
    return np.stack([stnref.grid_sample_jvp(None, d, cache).ravel() for d in dots], axis=1)


identity = similarity.identity[None]  # (1, 4): s = 1, no turn, no shift
J = jacobian(identity)

# %%
figure, axes = plt.subplots(1, 5, figsize=(11, 2.7), layout="constrained")
viz.plot_image(picture[0], ax=axes[0])
axes[0].set_title("the picture U")
for ax, column, name in zip(axes[1:], J.T, NAMES, strict=True):
    limit = np.abs(J).max()
    drawn = ax.imshow(column.reshape(28, 28), cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_title(f"∂V/∂{name}")
for ax in axes:
    ax.set(xlabel="column", xticks=[0, 27], yticks=[0, 27])
axes[0].set_ylabel("row")
figure.colorbar(drawn, ax=axes, label="change of V per unit")

# %% [markdown]
# Each column of J is a picture: where V grows (red) and shrinks (blue) when the parameter grows. White does not change. The shifts
# show the edges of the strokes; scale and angle too, the stronger the further a point is from the middle. The dark line on top
# is where the blurred stroke touches the border: beyond it is zero.
#
# ## The second derivative in one dimension
#
# Take a row of pixels $U_m$ and one point x. The value is $V = \sum_m U_m\,k(x - m)$. Only k depends on x, so
#
# $$V' = \sum_m U_m\,k'(x - m), \qquad V'' = \sum_m U_m\,k''(x - m) .$$
#
# In a cell of the *linear* kernel, with the fraction f = x - m, $V = (1 - f)\,U_m + f\,U_{m+1}$. This is a straight line in f:
# V' is the difference of the two pixels, and **V'' = 0**. All the bending is at the pixels, where V' jumps by
# $U_{m+1} - 2U_m + U_{m-1}$. There V'' is no number but a spike (a delta), and the library leaves it out.
#
# The backward of this sampler is $dU_m = dV\,k(x - m)$ and $dx = dV \sum_m U_m\,k'(x - m)$. It is a function of (dV, U, x) like any
# other, so it has a backward. Let $ddU$ and $ddx$ be the gradients of some later number by its outputs dU and dx. Collect
#
# $$\Phi = \sum_m ddU_m\,dV\,k(x - m) + ddx\,dV \sum_m U_m\,k'(x - m)$$
#
# and differentiate it by the three inputs. An underscore marks these gradients of the second round:
#
# $$d\_dV = \sum_m ddU_m\,k(x - m) + ddx \sum_m U_m\,k'(x - m), \qquad d\_U_m = ddx\,dV\,k'(x - m),$$
#
# $$d\_x = dV \sum_m ddU_m\,k'(x - m) + ddx\,dV \sum_m U_m\,k''(x - m) .$$
#
# The library's `sample_double_backward` computes them. Border padding continues the row upwards and downwards, so it is one-dimensional.

# %%
row = np.array([3.0, 5.0, 4.0, 9.0, 2.0, 2.5, 6.0])
x, m = 2.3, np.arange(7)
ddrow, ddx, dv = rng.normal(size=7), 0.7, 1.3


def by_sums(kernel):
    inside = np.abs(x - m) < kernel.support
    k, dk, d2k = (np.where(inside, f(x - m), 0) for f in (kernel.k, kernel.dk, kernel.d2k))
    d_dV = ddrow @ k + ddx * row @ dk
    d_x = dv * ddrow @ dk + ddx * dv * row @ d2k
    return d_dV, ddx * dv * dk, d_x


# %%
at_x, along_x = np.array([x, 0.0]).reshape(1, 1, 1, 2), np.array([ddx, 0.0]).reshape(1, 1, 1, 2)
upstream = np.full((1, 1, 1, 1), dv)
for kernel in (kernels.linear(), kernels.cubic(-0.5), kernels.bspline3()):
    _, c = stnref.sample_forward(row.reshape(1, 1, 7, 1), at_x, kernel=kernel, padding="border")
    result = stnref.sample_double_backward(ddrow.reshape(1, 1, 7, 1), along_x, upstream, c)
    d_dV, d_U, d_x = by_sums(kernel)
    np.testing.assert_allclose(result[0].item(), d_dV, rtol=1e-12)
    np.testing.assert_allclose(result[1].ravel(), d_U, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(result[2][0, 0, 0, 0], d_x, rtol=1e-12)

# %% [markdown]
# With ddU = 0, ddx = 1 and dV = 1 what comes back is d_dV = V' and d_x = V''. So one call draws both curves:


# %%
def value_slope_curvature(row, x, kernel):
    points = np.stack([x, 0 * x], axis=-1).reshape(1, 1, -1, 2)
    U = row.reshape(1, 1, -1, 1)
    V, cache = stnref.sample_forward(U, points, kernel=kernel, padding="border")
    along = np.zeros_like(points)
    along[..., 0] = 1
    slope, _, curvature = stnref.sample_double_backward(None, along, np.ones_like(V), cache)
    return V.ravel(), slope.ravel(), curvature[..., 0].ravel()


# %%
t = np.linspace(0, 5.99, 1200) + 1e-6
figure, axes = plt.subplots(3, 1, figsize=(7.5, 6), sharex=True, layout="constrained")
chosen = {"linear": kernels.linear(), "cubic, a = -1/2": kernels.cubic(-0.5), "bspline3": smooth}
for (name, kernel), style in zip(chosen.items(), ("C0-", "C1--", "k:"), strict=True):
    for ax, curve in zip(axes, value_slope_curvature(row, t, kernel), strict=True):
        ax.plot(t, curve, style, label=name)
axes[0].plot(m, row, "ko", label="pixels")
axes[0].set(ylabel="V", title="Linear bends at the pixels only; its V'' is 0 wherever it exists")
axes[1].set_ylabel("V' (per pixel)")
axes[2].set(ylabel="V'' (per pixel²)", xlabel="x (pixels)")
axes[0].legend(ncols=2)

# %% [markdown]
# The linear kernel has a broken V, a V' with jumps and V'' = 0. The cubic one passes through the pixels too and its slope is
# continuous, but V'' jumps. The B-spline has a continuous V''. The price is that it does not pass through the pixels: it blurs.
#
# ## In two dimensions: the mixed derivative
#
# Bilinear means linear in x *and* linear in y, not linear in both together. In a cell with the corners $U_{00}, U_{01}, U_{10}, U_{11}$
# (first index: row) and the fractions $f_x = x - m$, $f_y = y - n$, the slope along x is
#
# $$\frac{\partial V}{\partial x} = (1 - f_y)(U_{01} - U_{00}) + f_y\,(U_{11} - U_{10}) .$$
#
# It does not depend on $f_x$, but it does on $f_y$:
#
# $$\frac{\partial^2 V}{\partial x^2} = \frac{\partial^2 V}{\partial y^2} = 0, \qquad
# \frac{\partial^2 V}{\partial x\,\partial y} = U_{11} - U_{10} - U_{01} + U_{00} .$$

# %%
cell = np.array([[1.0, 3.0], [2.0, 9.0]])
V, cache = stnref.sample_forward(cell[None, :, :, None], np.array([[[[0.3, 0.6]]]]))
second = np.zeros((2, 2))
for a, along in enumerate(np.eye(2).reshape(2, 1, 1, 1, 2)):
    second[a] = stnref.sample_double_backward(None, along, np.ones_like(V), cache)[2].ravel()
print(second)
np.testing.assert_allclose(second, [[0, 9 - 2 - 3 + 1], [9 - 2 - 3 + 1, 0]], atol=1e-12)

# %% [markdown]
# So a shift along one axis sees no curvature, and a rotation, which moves x and y, does. In general, with $S_{xx}$ (k'' along x) and
# $S_{xy}$ (k' along both) the three gradients are (S14, S15); a dot between two pictures multiplies them sample by sample:
#
# $$d\_dV = S\,ddU + ddx \cdot (S_x U) + ddy \cdot (S_y U), \qquad d\_U = S_x^{\mathsf T}(ddx \cdot dV) + S_y^{\mathsf T}(ddy \cdot dV),$$
#
# $$d\_x = dV \cdot \big(S_x\,ddU + ddx \cdot (S_{xx} U) + ddy \cdot (S_{xy} U)\big),$$
#
# summed over the channels, and d_y likewise. The first is the tangent map again: the transpose of the backward is the forward.
# `grid_sample_double_backward` is the same in normalised coordinates. The check is a complex step *through the backward*: move all
# three inputs of Φ at once.


# %%
def phi(U, grid, dV, kernel):
    _, cache = stnref.grid_sample_forward(U, grid, mode=kernel)
    dU, dgrid = stnref.grid_sample_backward(dV, cache)
    return (ddU * dU).sum() + (ddgrid * dgrid).sum()


ddU, ddgrid = rng.normal(size=U.shape), rng.normal(size=grid.shape)
dots = [rng.normal(size=a.shape) for a in (U, grid, dV)]
for kernel in chosen.values():
    _, cache = stnref.grid_sample_forward(U, grid, mode=kernel)
    d_dV, dU, dgrid = stnref.grid_sample_double_backward(ddU, ddgrid, dV, cache)
    by_hand = sum((a * b).sum() for a, b in zip((dU, dgrid, d_dV), dots, strict=True))
    moved = [a + 1j * h * b for a, b in zip((U, grid, dV), dots, strict=True)]
    np.testing.assert_allclose(by_hand, phi(*moved, kernel).imag / h, rtol=1e-10)

# %% [markdown]
# ## A loss with a gradient in it: the gradient penalty
#
# Some losses ask that a gradient be small. WGAN-GP, for example, penalises the gradient of a critic by its input picture. Here let
# the loss be $L = \tfrac12 |V - V^*|^2$ with a target picture $V^*$ and let the penalty be
#
# $$P = \tfrac12\,|dU|^2, \qquad dU = \partial L/\partial U = S^{\mathsf T} dV, \qquad dV = V - V^* .$$
#
# What is the gradient of P by theta? Walk backwards. P depends on dU, and its gradient by it is ddU = dU. The double backward
# takes that to d_dV, d_U and d_grid. But dV was computed too: dV is V minus a constant, so d_dV is a gradient of P *by V*, and goes
# through the ordinary backward. **There are two ways to the grid, and they add up.**

# %%
target = rng.normal(size=V_dot.shape)


def penalty(U, theta):
    V, cache = stnref.grid_sample_forward(U, stnref.affine_grid(theta, G))
    dU, _ = stnref.grid_sample_backward(V - target, cache)
    return (dU**2).sum() / 2


V, cache = stnref.grid_sample_forward(U, grid)
dU, _ = stnref.grid_sample_backward(V - target, cache)
d_dV, U_first, grid_first = stnref.grid_sample_double_backward(dU, None, V - target, cache)
U_second, grid_second = stnref.grid_sample_backward(d_dV, cache)  # the way through V
P_by_U = U_first + U_second
P_by_theta = stnref.affine_grid_backward(grid_first + grid_second, grid_cache)

# %%
U_dot = rng.normal(size=U.shape)
by_step = penalty(U + 1j * h * U_dot, theta).imag / h
np.testing.assert_allclose((P_by_U * U_dot).sum(), by_step, rtol=1e-10)

by_step = np.zeros((1, 2, 3))
for index in np.ndindex(1, 2, 3):
    e = np.zeros((1, 2, 3))
    e[index] = 1
    by_step[index] = penalty(U, theta + 1j * h * e).imag / h
np.testing.assert_allclose(P_by_theta, by_step, rtol=1e-10)
one_way = stnref.affine_grid_backward(grid_first, grid_cache)
wrong = np.linalg.norm(one_way - by_step) / np.linalg.norm(by_step)
print(f"the double backward alone is off by {100 * wrong:.0f} % of the gradient by theta")

# %% [markdown]
# ## A penalty on the slope by a parameter
#
# One may also ask for pictures that hardly change when they are turned. Let $\dot V$ be the derivative of V by the angle, at the
# identity, and $R = \tfrac12|\dot V|^2$. This is *tangent propagation*. $\dot V$ is linear in U, and its gradient is
# at hand: with ddU = 0, ddgrid = the tangent of the grid, and dV = w, the number Φ is $\langle w, \dot V\rangle$. So the double backward
# with $w = \dot V$ returns $\partial R/\partial U$ as its d_U, and $\dot V$ itself as its d_dV.
#
# Which picture is close to our digit $U^0$ and changes little? Minimise $\tfrac12|U - U^0|^2 + \lambda R(U)$. Where the gradient is zero,
# $U + \lambda\,\partial R/\partial U = U^0$. These are 784 linear equations, and we can apply their matrix without ever forming it.

# %%
turned, turn_cache = similarity.forward(identity)
turn = similarity.jvp(np.array([[0.0, 1.0, 0.0, 0.0]]), turn_cache)


def slope_penalty(U):
    _, cache = stnref.grid_sample_forward(U, turned, mode=smooth)
    V_dot = stnref.grid_sample_jvp(None, turn, cache)
    _, dU, _ = stnref.grid_sample_double_backward(None, turn, V_dot, cache)
    return (V_dot**2).sum() / 2, dU


U_dot = rng.normal(size=picture.shape)
by_step = slope_penalty(picture + 1j * h * U_dot)[0].imag / h
np.testing.assert_allclose((slope_penalty(picture)[1] * U_dot).sum(), by_step, rtol=1e-10)

# %% [markdown]
# **Conjugate gradient** solves A x = b for a symmetric positive A, and asks of A only products A p. Every step goes along a new
# direction p that is conjugate to the last ones ($p^{\mathsf T} A\,p_{\text{old}} = 0$), so it does not spoil what they have reached.
# With N unknowns it is done after N steps, but for round-off; often much earlier.


# %%
def conjugate_gradient(product, b, steps):
    x, residual = np.zeros_like(b), b
    p, old = residual, (residual**2).sum()
    for _ in range(steps):
        A_p = product(p)
        length = old / (p * A_p).sum()
        x, residual = x + length * p, residual - length * A_p
        new = (residual**2).sum()
        p, old = residual + new / old * p, new
    return x


# %%
found = {"original": picture}
for strength in (0.1, 10.0):
    U_new = conjugate_gradient(lambda p, s=strength: p + s * slope_penalty(p)[1], picture, 300)
    left = U_new + strength * slope_penalty(U_new)[1] - picture
    assert np.abs(left).max() < 1e-8
    found[f"λ = {strength:g}"] = U_new
R = {title: slope_penalty(U)[0] for title, U in found.items()}
assert R["original"] > 2 * R["λ = 0.1"] > 400 * R["λ = 10"]

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
for ax, (title, U_new) in zip(axes, found.items(), strict=True):
    drawn = ax.imshow(U_new[0, :, :, 0], cmap="viridis", vmin=0, vmax=1)
    ax.set(title=f"{title}, R = {R[title]:.3g}", xlabel="column", xticks=[0, 27], yticks=[0, 27])
axes[0].set_ylabel("row")
figure.colorbar(drawn, ax=axes, label="U")

# %% [markdown]
# The stronger the penalty, the more the digit is smeared along circles around the middle. With λ = 10 it is round: a round picture is
# what a rotation does not change.
#
# ## The Hessian of an alignment
#
# Now the second derivatives of a whole chain. A target was made from the picture by a similarity with unknown parameters. Find them:
# minimise $L(p) = \tfrac12\sum r^2$ with $r = V(p) - V^*$, by the four parameters p. With the Jacobian J, one derivative after the other,
#
# $$\frac{\partial L}{\partial p_a} = \sum r\,\frac{\partial V}{\partial p_a}, \qquad
# \frac{\partial^2 L}{\partial p_a\,\partial p_b} =
# \underbrace{\sum \frac{\partial V}{\partial p_a}\,\frac{\partial V}{\partial p_b}}_{(J^{\mathsf T} J)_{ab}}
# + \underbrace{\sum r\,\frac{\partial^2 V}{\partial p_a\,\partial p_b}}_{\text{curvature}} .$$
#
# This matrix is the **Hessian**, 4 x 4. Its first part needs forward mode only; the second one needs second derivatives, and vanishes
# where r = 0. `hessian_vector_product` gives Hessian times v by one complex step through the hand-written gradient:

# %%
unknown = np.array([[1.1, 0.15, 0.08, -0.06]])  # s, angle, tx, ty


def gradient(params, kernel=smooth, noise=0.0):
    V, grid_cache, cache = sample(params, kernel)
    r = V - (sample(unknown, kernel)[0] + noise)
    _, dgrid = stnref.grid_sample_backward(r, cache, needs=["grid"])
    return similarity.backward(dgrid, grid_cache)


def hessian(params, **options):
    def at(p):
        return gradient(p, **options)

    return np.stack([stnref.hessian_vector_product(at, params, e[None])[0] for e in np.eye(4)])


# %% [markdown]
# The same by hand, for one v. Three things change when p moves along v: r, with $\dot V$; the backward of the sampler, by
# the double backward; and the backward of the transform, since cos and sin are not linear in the angle.

# %%
v = rng.normal(size=(1, 4))
V, grid_cache, cache = sample(identity)
r = V - sample(unknown)[0]
grid_dot = similarity.jvp(v, grid_cache)
V_dot, _, through_S = stnref.grid_sample_double_backward(None, grid_dot, r, cache)
_, through_r = stnref.grid_sample_backward(V_dot, cache, needs=["grid"])
_, dgrid = stnref.grid_sample_backward(r, cache, needs=["grid"])
_, moved_cache = similarity.forward(identity + 1j * h * v)
through_transform = similarity.backward(dgrid, moved_cache).imag / h
H_v = similarity.backward(through_r + through_S, grid_cache) + through_transform
np.testing.assert_allclose(H_v, stnref.hessian_vector_product(gradient, identity, v), rtol=1e-10)

# %%
H = hessian(identity)
np.testing.assert_allclose(H, H.T, rtol=1e-9, atol=1e-9 * np.abs(H).max())
at_solution = jacobian(unknown)
np.testing.assert_allclose(hessian(unknown), at_solution.T @ at_solution, rtol=1e-9, atol=1e-8)

parts = {"Hessian": H, "= JᵀJ": J.T @ J, "+ curvature": H - J.T @ J}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, (title, matrix) in zip(axes, parts.items(), strict=True):
    drawn = ax.imshow(matrix, cmap="RdBu_r", vmin=-600, vmax=600)
    for a, b in np.ndindex(4, 4):
        dark = abs(matrix[a, b]) > 350
        ax.text(b, a, f"{matrix[a, b]:.0f}", ha="center", va="center", color="w" if dark else "k")
    ax.set(title=title, xticks=range(4), yticks=range(4), xticklabels=NAMES, yticklabels=NAMES)
figure.colorbar(drawn, ax=axes, label="∂²L/∂p∂p, at the identity")

# %% [markdown]
# White is zero. Along s, tx and ty the loss is steep, along the angle it is flat. The entry of angle and tx is larger than that of
# the angle alone: this digit's centre is above the middle of the picture (row 13.5), so a turn is for a good part a shift to the side. The
# curvature is negative on its diagonal: it takes away from $J^{\mathsf T} J$.
#
# And the linear kernel? It has lost the terms $\partial^2 V/\partial x^2$ and $\partial^2 V/\partial y^2$, and with them most of the
# curvature:

# %%
centre = picture[0, :, :, 0].sum(axis=1) @ np.arange(28) / picture.sum()
print(f"centre of the digit: row {centre:.1f}")
J_linear = jacobian(identity, kernels.linear())
H_linear = hessian(identity, kernel=kernels.linear())
for name, one, other in (("bspline3", H, J), ("linear", H_linear, J_linear)):
    curvature = one - other.T @ other
    share = np.linalg.norm(curvature) / np.linalg.norm(other.T @ other)
    print(f"{name:9} curvature / JᵀJ {share:.2f}, diagonal {np.diag(curvature).round() + 0.0}")
np.testing.assert_allclose(np.diag(H_linear - J_linear.T @ J_linear)[2:], 0, atol=1e-9)

# %% [markdown]
# For a shift the linear kernel knows no curvature at all: the two last entries are zero.
#
# ## Newton, Gauss-Newton, gradient descent
#
# A quadratic function has its minimum where gradient + Hessian · step = 0. **Newton's** step solves that. **Gauss-Newton** takes
# $J^{\mathsf T} J$ in place of the Hessian. Conjugate gradient finds either step from products alone; for 4 unknowns 4 products are enough:

# %%
g = gradient(identity)


def product(p):
    return stnref.hessian_vector_product(gradient, identity, p)


by_products = conjugate_gradient(product, -g, 4)
np.testing.assert_allclose(by_products, np.linalg.solve(H, -g[0])[None], rtol=1e-8)


# %%
def descend(method, steps, **options):
    p, path = identity, [identity]
    for _ in range(steps):
        g = gradient(p, **options)
        if method == "gradient descent":
            p = p - g / 600  # the Hessian's largest eigenvalue is below 600 here
        else:
            J = jacobian(p)
            matrix = hessian(p, **options) if method == "Newton" else J.T @ J
            p = p - np.linalg.solve(matrix, g[0])[None]
        path.append(p)
    return np.array([np.abs(p - unknown).max() for p in path]), p


# %% [markdown]
# Count the passes of the sampler. Gradient descent: a forward and a backward. Gauss-Newton: four jvps besides. Newton: four times a
# forward and a backward in complex numbers besides. (A good program; ours repeats some forwards, to be short.)

# %%
passes = {"gradient descent": 2, "Gauss-Newton": 2 + 4, "Newton": 2 + 8}
errors = {}
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.5), sharey=True, layout="constrained")
for (method, cost), style in zip(passes.items(), ("C0-", "C1o-", "ks--"), strict=True):
    errors[method], _ = descend(method, 80 if method == "gradient descent" else 8)
    steps, error = np.arange(len(errors[method])), np.maximum(errors[method], 1e-16)
    axes[0].semilogy(steps, error, style, label=method)
    axes[1].semilogy(steps * cost, error, style, label=method)
axes[0].set(xlim=(-0.5, 20), xlabel="step", xticks=range(0, 21, 5), ylabel="largest error of p")
axes[1].set(xlabel="passes of the sampler")
axes[0].set_title("Near the solution, the digits double")
axes[1].set_title("Gauss-Newton is the cheapest here")
axes[0].legend()

# %%
for method, error in errors.items():
    print(f"{method:17} steps to an error of 1e-6: {np.argmax(error < 1e-6) or 'more than 80'}")
assert errors["Newton"][2] > errors["Newton"][0]  # it goes astray first
assert errors["Gauss-Newton"][4] < 1e-10
assert errors["Newton"][8] < 1e-10
assert errors["gradient descent"][80] > 1e-4

# %%
smallest = [np.linalg.eigvalsh(matrix)[0] for matrix in (J.T @ J, H)]
print("smallest eigenvalue at the identity: JᵀJ {:.1f}, Hessian {:.1f}".format(*smallest))
flat = np.linalg.eigh(H)[1][:, 0]  # the direction of the Hessian's smallest eigenvalue
steps = [-np.linalg.solve(matrix, g[0]) @ flat for matrix in (H, J.T @ J)]
print("step along it: Newton {:.3f}, Gauss-Newton {:.3f},".format(*steps), end=" ")
print(f"needed {(unknown - identity)[0] @ flat:.3f}")
with_linear, _ = descend("Newton", 5, kernel=kernels.linear())
print("Newton, linear kernel:", *(f"{error:.0e}" for error in with_linear))
assert steps[0] > 0 > steps[1]  # Newton's has the wrong sign
assert with_linear[2] < 0.05 * with_linear[0]

# %% [markdown]
# Gauss-Newton arrives in a few steps, at round-off. Gradient descent creeps. Newton has the exact Hessian and goes astray first. The
# numbers say where: in the direction in which the Hessian is smallest the loss falls *away* from the solution, and Newton, which divides
# by a small number, follows it far. $J^{\mathsf T} J$ is stiffer, it ties this direction to others, and its step goes the right
# way. What differs is the curvature, which is weighted by r: far from the solution, where r is large, it is no good guide. Near
# the solution r goes to zero and both are the same. With the *linear* kernel most of the curvature is lost, so Newton is nearly
# Gauss-Newton there, and as fast.
#
# When r stays large at the solution, it is the other way round (exercise 4).
#
# ## Exercises
#
# **1.** Put U on a parabola, $U_m = m^2$. V'' should be 2. Which kernels say so, away from the borders?

# %% [markdown]
# <details><summary>Answer</summary>
#
# The linear kernel says 0. The cubic kernel with a = -1/2 and the B-spline say 2 everywhere. The cubic kernel with a = -3/4, the
# default of many libraries, does not: its V'' runs from -24 to 29. It even bends a straight line, where V'' runs from -3 to 3 in
# place of 0. For second derivatives take a = -1/2 or the B-spline.
#
# </details>

# %% tags=["hide-cell"]
parabola, x = np.arange(9.0) ** 2, np.linspace(3.01, 4.99, 199)
V2 = {a: value_slope_curvature(parabola, x, kernels.cubic(a))[2] for a in (-0.5, -0.75)}
np.testing.assert_allclose(V2[-0.5], 2, atol=1e-9)
np.testing.assert_allclose(value_slope_curvature(parabola, x, smooth)[2], 2, atol=1e-9)
np.testing.assert_allclose(value_slope_curvature(parabola, x, kernels.linear())[2], 0, atol=1e-9)
print(f"a = -3/4: from {V2[-0.75].min():.2f} to {V2[-0.75].max():.2f}")
on_a_line = value_slope_curvature(np.arange(9.0), x, kernels.cubic())[2]
print(f"a = -3/4 on a straight line: from {on_a_line.min():.2f} to {on_a_line.max():.2f}")
assert np.ptp(V2[-0.75]) > 1
assert np.ptp(on_a_line) > 1

# %% [markdown]
# **2.** Shift by tx from minus half a pixel to plus half a pixel. Integrate ∂²L/∂tx² over that way. Is it the change of ∂L/∂tx? For the
# linear kernel, what is missing, and where does it sit?

# %% [markdown]
# <details><summary>Answer</summary>
#
# For the B-spline the integral is the change of the slope. For the linear kernel a part is missing. All samples cross a
# pixel at tx = 0, and there ∂V/∂tx jumps by $U_{m+1} - 2U_m + U_{m-1}$ times (W - 1)/2. Times r, and summed, this is the missing part:
# the deltas that were dropped. (Inside a cell L'' is a polynomial of degree 4 at most, so three Gauss points are exact.)
#
# </details>

# %% tags=["hide-cell"]
tx, half = np.array([[0.0, 0.0, 1.0, 0.0]]), 1 / 27  # half a pixel: W - 1 = 27 pixels are 2 units
nodes, weights = np.polynomial.legendre.leggauss(3)
places = np.concatenate([nodes - 1, nodes + 1]) / 2 * half  # three on each side of 0
missing = {}
for name in ("linear", "bspline3"):
    options = {"kernel": chosen[name]}
    H_tx = [hessian(identity + t * tx, **options)[2, 2] for t in places]
    change = gradient(identity + half * tx, **options) - gradient(identity - half * tx, **options)
    missing[name] = change[0, 2] - np.tile(weights, 2) @ H_tx * half / 2
padded = np.pad(picture[0, :, :, 0], ((0, 0), (1, 1)))
jumps = (padded[:, 2:] - 2 * padded[:, 1:-1] + padded[:, :-2]) * 27 / 2
r = (picture - sample(unknown, kernels.linear())[0])[0, :, :, 0]
print({name: round(float(value), 9) for name, value in missing.items()}, (r * jumps).sum())
np.testing.assert_allclose(list(missing.values()), [(r * jumps).sum(), 0], atol=1e-9)

# %% [markdown]
# **3.** WGAN-GP's penalty is $(|dU| - 1)^2$, with the norm of the whole dU. What changes in the gradient penalty above?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Only the start: ddU is the gradient of the penalty by dU, which is now $2\,(|dU| - 1)\,dU/|dU|$. Everything after it is the same.
# (For the check, the norm in complex numbers is the root of the sum of squares, without absolute values.)
#
# </details>


# %% tags=["hide-cell"]
def norm_penalty(theta):
    V, cache = stnref.grid_sample_forward(U, stnref.affine_grid(theta, G))
    dU, _ = stnref.grid_sample_backward(V - target, cache)
    return (np.sqrt((dU**2).sum()) - 1) ** 2


# %% tags=["hide-cell"]
_, grid_cache = stnref.affine_grid_forward(theta, G)
V, cache = stnref.grid_sample_forward(U, grid)
dU, _ = stnref.grid_sample_backward(V - target, cache)
norm = np.linalg.norm(dU)
ddU = 2 * (norm - 1) * dU / norm
d_dV, _, first = stnref.grid_sample_double_backward(ddU, None, V - target, cache)
dtheta = stnref.affine_grid_backward(
    first + stnref.grid_sample_backward(d_dV, cache)[1], grid_cache
)
by_step = norm_penalty(theta + 1j * h * theta_dot).imag / h
np.testing.assert_allclose((dtheta * theta_dot).sum(), by_step, rtol=1e-10)

# %% [markdown]
# **4.** Add noise to the target, so that r stays large at the solution. Which method is faster at the end?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Newton. Gauss-Newton uses a matrix that is wrong by the curvature, so it gains only a constant factor in each step. With Newton the
# error is squared, near the solution. To start with, Gauss-Newton was the better one here: go a few steps with it and then change.
#
# </details>

# %% tags=["hide-cell"]
noise = np.random.default_rng(5).normal(scale=0.3, size=picture.shape)
_, start = descend("Gauss-Newton", 4, noise=noise)
sizes = {}
for method in ("Gauss-Newton", "Newton"):
    p, sizes[method] = start, []
    for _ in range(4):
        J = jacobian(p)
        matrix = hessian(p, noise=noise) if method == "Newton" else J.T @ J
        g = gradient(p, noise=noise)
        sizes[method].append(np.abs(g).max())
        p = p - np.linalg.solve(matrix, g[0])[None]
    print(f"{method:12} largest entry of the gradient:", *(f"{s:.0e}" for s in sizes[method]))
assert sizes["Newton"][3] < 1e-6 * sizes["Gauss-Newton"][3]
