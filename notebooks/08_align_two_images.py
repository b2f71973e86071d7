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
# # 8. Align two images
#
# **What you will do.** Bring one picture onto another by gradient descent through the sampler, without any network; look at the loss
# that you walk on; see the descent fail for a large motion, and mend it; then replace hundreds of steps by a few.
#
# **What you will learn.** What the gradient of the sampler can see and what it cannot; why a pyramid helps; how the tangents of the
# grid and of the sampler become the matrix of the Gauss-Newton method; why the last loss is not zero.
#
# **What you need.** [Backpropagation](05_backpropagation.ipynb). The tangents are derived on the pages
# [grid generator](https://github.com/stnref/stnref/blob/main/docs/derivations/grid_generator.md) and
# [sampler](https://github.com/stnref/stnref/blob/main/docs/derivations/sampler.md).

# %%
import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import nn, transforms, viz
from stnref.data import draw_digits

# %% [markdown]
# ## Two pictures
#
# The first picture, A, is a digit on a field of 96 x 96 pixels; 0 is black, the background, and 1 is white, the ink. Each pixel is
# replaced by the mean of the 5 x 5 pixels around it, so that an edge is a slope and not a jump. It can be read as well as before.
#
# A *pose* is three numbers, p = (angle, tx, ty): the grid is turned by the angle, in radians, and shifted by (tx, ty), in normalised
# units. The second picture, B, is made from A such that we know the answer: it is A sampled with the *inverse* of a pose p. Whoever
# then samples B with p undoes it, and should see A again. Here p has ty = 0, so that the loss can be drawn over two numbers.
#
# The corner rule is `align_corners=False` everywhere: -1 and 1 are the outer *borders* of the picture. The pyramid will need it.

# %%
digit = draw_digits(1, np.random.default_rng(3), labels=[5], size=56).images.astype(float)
A = np.pad(digit, [(0, 0), (25, 15), (20, 20), (0, 0)])  # (1, 96, 96, 1)
A, _ = nn.conv2d_forward(A, np.full((5, 5, 1, 1), 1 / 25), np.zeros(1), padding=2)
size = A.shape[1]
pixel = 2 / size  # one pixel in normalised units
corners = {"align_corners": False}
G = stnref.target_grid((size, size), **corners)


def moved_by(pose):
    theta, _ = stnref.rigid_matrix_forward(pose)
    return stnref.grid_sample(A, stnref.affine_grid(transforms.invert(theta), G), **corners)


# %%
near = np.array([[0.3, 4 * pixel, 0.0]])  # angle, tx, ty
B = moved_by(near)
rigid = stnref.get_transform("rigid", (size, size), **corners)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
for ax, picture in zip(axes, (A, B, B), strict=True):
    viz.plot_image(picture[0], ax=ax)
for ax, pose in zip(axes[1:], (rigid.identity[None], near), strict=True):
    viz.plot_grid(rigid.forward(pose)[0][0], (size, size), ax=ax, **corners)
axes[0].set_title("A, which stays")
axes[1].set_title("B, and the grid we start with")
axes[2].set_title("B, and the grid we look for")

# %% [markdown]
# White is ink. Read along the grid on the right, its heavy side as the upper one, B looks like A: that is the grid to be found.
#
# ## The loss, and its gradient
#
# Let V be B sampled with the pose p, and N the number of pixels. The residual is r = V - A, and the loss its mean square,
#
# $$L(p) = \frac1N \sum_{i,j} (V_{ij} - A_{ij})^2, \qquad dV_{ij} = \frac{\partial L}{\partial V_{ij}} = \frac2N\, r_{ij} .$$
#
# From dV the way back is known: the sampler's backward gives dgrid, and the transform's backward gives dp.


# %%
def residual(transform, params, moved, still):
    grid, grid_cache = transform.forward(params)
    V, cache = stnref.grid_sample_forward(moved, grid, **corners)
    return V - still, grid_cache, cache


def loss_and_gradient(transform, params, moved, still):
    r, grid_cache, cache = residual(transform, params, moved, still)
    _, dgrid = stnref.grid_sample_backward(2 * r / still.size, cache, needs=["grid"])
    losses = (r**2).mean(axis=(1, 2, 3))  # one for each pose of the batch
    return losses, transform.backward(dgrid, grid_cache)


# %% [markdown]
# Check it with the complex step, which is exact inside the cells, at a pose that puts no sample on a pixel.

# %%
somewhere = np.array([[0.11, 0.023, -0.017]])
_, dp = loss_and_gradient(rigid, somewhere, B, A)
for k in range(3):
    step = 1e-100j * np.eye(3)[k]
    r, _, _ = residual(rigid, somewhere + step, B, A)
    np.testing.assert_allclose(dp[0, k], (r**2).mean().imag / 1e-100, rtol=1e-10)
print("d(angle, tx, ty) =", dp[0].round(4))

# %% [markdown]
# ## Descent on a landscape
#
# First with two parameters: `constrained` holds ty at 0. From the identity, step after step, p becomes p - rate dp.


# %%
def descend(transform, params, moved, still, steps, rate=0.2):
    path, losses = [params[0]], []
    for _ in range(steps):
        loss, dp = loss_and_gradient(transform, params, moved, still)
        params = params - rate * dp
        path.append(params[0])
        losses.append(loss[0])
    return np.array(path), np.array(losses)


flat = transforms.constrained(rigid, {2: transforms.fixed(0.0)})  # (angle, tx)
path, losses = descend(flat, flat.identity[None], B, A, 150)
print(f"loss {losses[0]:.2e} -> {losses[-1]:.2e}")
print(f"angle {path[-1, 0]:.4f} rad, tx {path[-1, 1] / pixel:.4f} pixels")
np.testing.assert_allclose(path[-1] / [1, pixel], [0.3, 4], atol=0.02)


# %%
def landscape(angles, shifts):
    """Loss and dp at each (angle, shift in pixels), a row of the map for each angle."""
    many = np.repeat(B, len(shifts), axis=0)
    rows = [np.stack([np.full(len(shifts), a), shifts * pixel], axis=-1) for a in angles]
    both = [loss_and_gradient(flat, row, many, A) for row in rows]
    return np.array([loss for loss, _ in both]), np.array([dp for _, dp in both])


angles, shifts = np.linspace(-0.6, 1.2, 37), np.linspace(-14, 22, 46)
height, _ = landscape(angles, shifts)

# %%
figure, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
viz.plot_landscape(shifts, angles, height, path=path[:, ::-1] / [pixel, 1], ax=ax)
ax.plot(4, 0.3, "C1x", ms=9, mew=2, label="the known pose")
ax.set(xlabel="tx [pixels]", ylabel="angle [rad]", title="The loss is one narrow pit in a plain")
ax.legend(loc="upper right")

# %% [markdown]
# The white line is the descent, from the circle, the identity, to the star. The pit is as wide as the strokes. The start is on its
# slope, so the descent finds the bottom. Beyond, the plain has bumps and shallow hollows, where parts of the digit lie on wrong parts;
# no slope there leads to the pit.
#
# ## Creases
#
# The map looks smooth, but it is sewn together from pieces. Inside the cells V is linear in tx, so L is a parabola. When a sample
# crosses a pixel, its slope jumps. With the angle 0 and equal sizes, *all* samples cross at once, whenever tx is a whole number of
# pixels: there L has a crease. Turned by a little, each sample crosses at another tx, and the jumps are spread. Look closely, at the
# slope of the loss and not at the loss:

# %%
close_angles, close_shifts = np.linspace(-0.05, 0.05, 41), np.linspace(-1.5, 2.5, 80)
_, slope = landscape(close_angles, close_shifts)
slope = slope[:, :, 1] * pixel  # by tx in pixels
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for row, style in ((20, "C0.-"), (40, "C1.-")):
    axes[0].plot(close_shifts, slope[row], style, label=f"angle {close_angles[row]:.2f} rad")
axes[0].set(
    xlabel="tx [pixels]", ylabel="∂L/∂tx [1/pixel]", title="The slope jumps at angle 0 only"
)
axes[0].legend()
drawn = axes[1].pcolormesh(close_shifts, close_angles, slope, cmap="viridis")
axes[1].set(xlabel="tx [pixels]", ylabel="angle [rad]", title="The same slope over both parameters")
figure.colorbar(drawn, label="∂L/∂tx [1/pixel]")

# %% [markdown]
# At the angle 0 the slope falls by a jump at every whole pixel; at 0.05 rad it does not. In the map each jump is a point at the angle
# 0 that opens into two fans. The jump is measured from both sides, a thousandth of a millionth of a pixel away:

# %%
tiny = 1e-9
_, sides = landscape([0.0, 0.05], np.array([1 - tiny, 1 + tiny]))
jump = np.diff(sides[:, :, 1] * pixel, axis=1)[:, 0]
print(f"jump of the slope at tx = 1 pixel: angle 0 {jump[0]:.2e}, angle 0.05 {jump[1]:.2e}")
assert jump[0] < -1e-4
assert abs(jump[1]) < 1e-4 * abs(jump[0])

# %% [markdown]
# A descent with finite steps walks over creases and does not mind. Only the *start*, the identity, lies on one for sure.
#
# ## A large motion
#
# Now B is 30 pixels to the right and 6 down, and turned by 0.4. The two digits have no pixel in common. Same descent, all three
# parameters:

# %%
far = np.array([[0.4, 30 * pixel, 6 * pixel]])
B_far = moved_by(far)
assert (A * B_far).sum() == 0
path, losses = descend(rigid, rigid.identity[None], B_far, A, 200)
stuck = path[-1] / [1, pixel, pixel]
print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}")
print(f"angle {stuck[0]:.5f} rad, shift {stuck[1:].round(3)} pixels")
assert losses[-1] > 0.9 * losses[0]
np.testing.assert_allclose(stuck, [0, 0.5, 0.5], atol=1e-3)

# %% [markdown]
# It failed, and strangely: it moved by half a pixel each way, and stopped. This can be computed. As long as V and A do not overlap,
# the sum of V A is zero, and
#
# $$L = \frac1N \Big( \sum_{n,m} V_{nm}^2 + \sum_{n,m} A_{nm}^2 \Big).$$
#
# A, the picture to be met, is only in a constant: *the gradient knows nothing of it*. What is left is the sum of the squares of V.
# Let the shift be f pixels to the right, 0 ≤ f ≤ 1, and write B for the values of the moved picture. Then
# $V_{nm} = (1 - f) B_{nm} + f B_{n,m+1}$. Call $E = \sum B_{nm}^2$ and $D = \sum (B_{n,m+1} - B_{nm})^2$, with zeros around the picture,
# so that $2 \sum B_{nm} B_{n,m+1} = 2E - D$:
#
# $$\sum V^2 = (1-f)^2 E + f^2 E + f(1-f)(2E - D) = E - f(1-f)\,D, \qquad \frac{\partial L}{\partial f} = -\frac{(1 - 2f)\,D}{N} .$$
#
# Interpolation blurs, most of all at f = 1/2, and blurring makes the squares smaller. The descent rolls off the crease at f = 0 into
# the middle between two pixels, and there its gradient is zero.

# %%
D = (np.diff(B_far, axis=2) ** 2).sum()
for f in (0.0, 0.2, 0.5, 0.9):
    _, dp = loss_and_gradient(rigid, np.array([[0.0, f * pixel, 0.0]]), B_far, A)
    np.testing.assert_allclose(dp[0, 1] * pixel, -(1 - 2 * f) * D / A.size, rtol=1e-9, atol=1e-15)
_, dp = loss_and_gradient(rigid, np.array([[0.0, 0.5 * pixel, 0.5 * pixel]]), B_far, A)
print("dtx, dty in the middle of a cell:", dp[0, 1:])
np.testing.assert_allclose(dp[0, 1:], 0, atol=1e-15)

# %% [markdown]
# ## A pyramid
#
# The gradient reaches one pixel. So make the pixels larger: the mean over squares of s x s pixels, `avg_pool2d_forward`, is a small
# picture in which the digits are blots that touch. Align the smallest, with s = 32; take its pose as the start for s = 16; and so on
# to s = 1.
#
# A pose can be handed on as it is only if normalised coordinates mean the same at all levels. The mean of s pixels lies in the
# middle of them. With -1 and 1 at the borders the target grids agree with this, and with aligned corners they do not:

# %%
scales = [32, 16, 8, 4, 2, 1]
for s in scales:
    small = stnref.target_grid((size // s, size // s), **corners)
    np.testing.assert_allclose(nn.avg_pool2d_forward(G[None], s)[0][0], small, atol=1e-14)
aligned = stnref.target_grid((size, size))
off = nn.avg_pool2d_forward(aligned[None], 32)[0][0] - stnref.target_grid((3, 3))
print(f"aligned corners, s = 32: {np.abs(off).max() * (size - 1) / 2:.1f} pixels off")
assert np.abs(off).max() > 0.3

# %%
pose, levels = rigid.identity[None], []
for s in scales:
    small_A, small_B = (nn.avg_pool2d_forward(picture, s)[0] for picture in (A, B_far))
    transform = stnref.get_transform("rigid", small_A.shape[1:3], **corners)
    path, losses = descend(transform, pose, small_B, small_A, 150)
    pose = path[-1:]
    V = residual(transform, pose, small_B, small_A)[0] + small_A
    levels.append((s, small_A, small_B, V))
    angle, tx, ty = pose[0] / [1, pixel, pixel]
    print(f"s = {s:2d}: angle {angle:6.3f} rad, shift {tx:6.2f}, {ty:5.2f} pixels")
np.testing.assert_allclose(pose / [1, pixel, pixel], far / [1, pixel, pixel], atol=0.02)
assert losses[-1] < 2e-3 * (A**2).mean()

# %%
figure, axes = plt.subplots(3, 6, figsize=(10, 5.3), layout="constrained")
for column, (s, *pictures) in zip(axes.T, levels, strict=True):
    for ax, picture in zip(column, pictures, strict=True):
        ax.imshow(picture[0, :, :, 0], cmap="gray", vmin=0)
        ax.set(xticks=[], yticks=[])
    column[0].set_title(f"s = {s}, {size // s} x {size // s}")
for ax, label in zip(axes[:, 0], ("A", "B", "B, with the pose found"), strict=True):
    ax.set_ylabel(label)
figure.suptitle("From left to right the pose is handed on, and gets sharper")

# %% [markdown]
# White is the brightest pixel of each picture. The smallest level knows the direction only: it can say nothing of the angle. Each
# level brings the pose so near that the next one, with pixels half as large, has an overlap to work with. The last finds the pose to a
# fiftieth of a pixel, where descent at full size had not even begun.
#
# ## Gauss-Newton
#
# The descent has a rate to be chosen, and its last digits come slowly. There is more to be had. L is a sum of squares. Write r as a
# vector of N numbers, and let J be the matrix with N rows and three columns whose column k is $\partial V / \partial p_k$. To first
# order a step d changes the residual to r + J d. Its square is smallest where its derivative by d is zero,
#
# $$\frac{\partial}{\partial d}\, \lVert r + J d \rVert^2 = 2 J^{\mathsf T} (r + J d) = 0
# \quad\Rightarrow\quad J^{\mathsf T} J\, d = -J^{\mathsf T} r .$$
#
# Three equations for three numbers. A column of J is a tangent: how V moves when parameter k moves with speed 1. That is what a jvp
# computes: the transform's gives the speed of the grid, and the sampler's makes of it the speed of V. Three jvps are the whole of J.


# %%
def jacobian(transform, grid_cache, cache):
    columns = []
    for direction in np.eye(transform.n_params):
        grid_dot = transform.jvp(direction[None], grid_cache)
        columns.append(stnref.grid_sample_jvp(None, grid_dot, cache).ravel())
    return np.stack(columns, axis=-1)  # (N, n_params)


def gauss_newton(transform, params, moved, still, steps):
    path = [params[0]]
    for _ in range(steps):
        r, grid_cache, cache = residual(transform, path[-1][None], moved, still)
        J = jacobian(transform, grid_cache, cache)
        path.append(path[-1] - np.linalg.solve(J.T @ J, J.T @ r.ravel()))
    return np.array(path)


# %% [markdown]
# The backward computes the same product from the other side: $dp = J^{\mathsf T} dV = \frac2N J^{\mathsf T} r$. So both have to agree.

# %%
r, *caches = residual(rigid, somewhere, B, A)
J = jacobian(rigid, *caches)
_, dp = loss_and_gradient(rigid, somewhere, B, A)
np.testing.assert_allclose(2 / A.size * J.T @ r.ravel(), dp[0], rtol=1e-10)

# %% [markdown]
# Now both methods on the first pair of pictures, with three parameters, from the identity. We count the steps until no parameter is
# further than a millionth from where the method ends.

# %%
newton = gauss_newton(rigid, rigid.identity[None], B, A, 20)
slow, _ = descend(rigid, rigid.identity[None], B, A, 400)
paths = {"descent": slow, "Gauss-Newton": newton}
distance = {name: np.abs(path - newton[-1]).max(axis=1) for name, path in paths.items()}
needed = {name: int(np.argmax(d < 1e-6)) for name, d in distance.items()}
print("steps to 1e-6:", needed)
assert 0 < needed["Gauss-Newton"] <= 12
assert needed["descent"] >= 200

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for (name, path), style in zip(paths.items(), ("C0-", "C1o-"), strict=True):
    losses = [loss_and_gradient(rigid, p[None], B, A)[0][0] for p in path]
    axes[0].loglog(1 + np.arange(len(path)), losses, style, ms=4, label=name)
    axes[1].loglog(1 + np.arange(len(path)), np.maximum(distance[name], 1e-16), style, ms=4)
axes[0].axhline(losses[-1], color="0.6", ls=":")
axes[0].set(xlabel="step + 1", ylabel="loss", title="Both stop at the same loss, not at zero")
axes[1].axhline(1e-6, color="0.6", ls=":")
axes[1].set(
    xlabel="step + 1", ylabel="distance", title="Largest distance of a parameter from the end"
)
axes[0].legend()

# %% [markdown]
# The descent loses a fixed fraction of its distance in each step, and it is the flattest direction that decides. Gauss-Newton walks
# slowly while far away, where the straight line r + J d is no good picture of r; once it is in the pit it gains digits at each step.
#
# ## The loss that is left
#
# Why not zero? B was computed from A by interpolation, and V from B by another one. Each is a mean of neighbours, so V is A, twice
# blurred a little, even with the pose that made B. So compare the loss found with the loss at the known pose, which has no error but
# this one:

# %%
found = newton[-1:]
(left_found,), _ = loss_and_gradient(rigid, found, B, A)
(left_known,), _ = loss_and_gradient(rigid, near, B, A)
print(f"loss at the pose found {left_found:.4e}, at the known pose {left_known:.4e}")
print("difference of the poses [rad, pixels, pixels]:", (found - near)[0] / [1, pixel, pixel])
assert left_found <= left_known
np.testing.assert_allclose(left_found, left_known, rtol=0.01)
np.testing.assert_allclose(found / [1, pixel, pixel], near / [1, pixel, pixel], atol=5e-3)

# %% [markdown]
# So practically all of it is due to the double interpolation. The counter-check: a shift by whole pixels reads pixels and
# interpolates nothing, and leaves nothing.

# %%
whole = np.array([[0.0, 4 * pixel, -3 * pixel]])
(left_whole,), _ = loss_and_gradient(rigid, whole, moved_by(whole), A)
print(f"loss after a shift by whole pixels {left_whole:.1e}")
np.testing.assert_allclose(left_whole, 0, atol=1e-28)

# %%
r, _, _ = residual(rigid, found, B, A)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
viz.plot_image(A[0], ax=axes[0])
viz.plot_image(np.clip((r + A)[0], 0, 1), ax=axes[1])
limit = np.abs(r).max()
drawn = axes[2].imshow(r[0, :, :, 0], cmap="RdBu", vmin=-limit, vmax=limit)
figure.colorbar(drawn, label="V - A", shrink=0.8)
for ax, title in zip(axes, ("A", "V, B with the pose found", "V - A"), strict=True):
    ax.set_title(title)

# %% [markdown]
# Left and middle, white is ink; on the right, white is no difference. The eye sees none between A and V. The difference stands
# along both borders of the strokes, where A bends: inside a border V is darker, outside it is brighter. That is a blur and not a shift,
# which would be of one sign on one side of a stroke and of the other on the other side.
#
# ## Exercises
#
# **1.** Which is the largest rate that the descent bears? Near the minimum the second derivatives of L are about $\frac2N J^{\mathsf T} J$.

# %% [markdown]
# <details><summary>Answer</summary>
#
# In the direction of an eigenvector with the eigenvalue λ, a step multiplies the distance by 1 - rate λ. Its size has to be below 1,
# so the rate below 2/λ for the largest λ. The smallest λ decides how long it takes. With the rate 0.2 the factor is 1 - 0.2 λ, and
# the measured loss of distance per step is the same.
#
# </details>

# %% tags=["hide-cell"]
_, *caches = residual(rigid, found, B, A)
J = jacobian(rigid, *caches)
eigenvalues = np.linalg.eigvalsh(2 / A.size * J.T @ J)
limit = 2 / eigenvalues[-1]
print(f"eigenvalues {eigenvalues.round(3)}, largest rate {limit:.3f}")
for rate, holds in ((0.9 * limit, True), (1.1 * limit, False)):
    path, _ = descend(rigid, found + 1e-3, B, A, 150, rate=rate)
    assert (np.abs(path[-1] - found).max() < 1e-4) == holds
per_step = (distance["descent"][200] / distance["descent"][100]) ** 0.01
print(f"factor of a step: measured {per_step:.4f}, expected {1 - 0.2 * eigenvalues[0]:.4f}")
np.testing.assert_allclose(per_step, 1 - 0.2 * eigenvalues[0], atol=2e-3)

# %% [markdown]
# **2.** Swap the roles: sample A with a pose, such that it looks like B. What loss is left, and which pose is found?

# %% [markdown]
# <details><summary>Answer</summary>
#
# B *is* A sampled with the inverse pose, interpolated once, and with the inverse pose V is interpolated once in the same way. So the
# loss goes to zero, and the pose is found to the last digits. It is the inverse: its angle is -0.3, and its shift is turned too.
#
# </details>

# %% tags=["hide-cell"]
swapped = gauss_newton(rigid, rigid.identity[None], A, B, 20)[-1:]
(left_swapped,), _ = loss_and_gradient(rigid, swapped, A, B)
theta, known = (stnref.rigid_matrix_forward(pose)[0] for pose in (swapped, near))
np.testing.assert_allclose(theta, transforms.invert(known), atol=1e-12)
print(f"loss {left_swapped:.1e}")
assert left_swapped < 1e-25

# %% [markdown]
# **3.** Does Gauss-Newton need no pyramid? Try it on the large motion, at full size.

# %% [markdown]
# <details><summary>Answer</summary>
#
# It needs one just as much. J is made of the same slopes, which reach one pixel. Without overlap $J^{\mathsf T} r$ does not contain A,
# and it too ends in the middle of a cell. But it can follow the pyramid: from the pose that the descent found at s = 4, a few
# steps at full size are enough.
#
# </details>

# %% tags=["hide-cell"]
lost = gauss_newton(rigid, rigid.identity[None], B_far, A, 20)[-1] / [1, pixel, pixel]
print("at full size, from the identity:", lost.round(3))
assert np.abs(lost[1:]).max() < 2
pose = rigid.identity[None]
for s in (32, 16, 8, 4):
    small_A, small_B = (nn.avg_pool2d_forward(picture, s)[0] for picture in (A, B_far))
    transform = stnref.get_transform("rigid", small_A.shape[1:3], **corners)
    pose = descend(transform, pose, small_B, small_A, 150)[0][-1:]
pose = gauss_newton(rigid, pose, B_far, A, 5)[-1:]
np.testing.assert_allclose(pose / [1, pixel, pixel], far / [1, pixel, pixel], atol=0.02)

# %% [markdown]
# **4.** The pit of the landscape is as wide as the strokes. Blur the picture more: does the descent then bear a larger angle?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Yes. The edges get wider, so the digits overlap in more poses. It is the same remedy as the pyramid, without the smaller pictures.
# The price is the accuracy of a single step: flat edges have small slopes.
#
# </details>

# %% tags=["hide-cell"]
reach = []
for box in (1, 15):
    kernel = np.full((box, box, 1, 1), 1 / box**2)
    for angle in np.arange(0.2, 1.6, 0.2):
        pair = (A, moved_by(np.array([[angle, 0.0, 0.0]])))
        still, moved = (
            nn.conv2d_forward(p, kernel, np.zeros(1), padding=box // 2)[0] for p in pair
        )
        pose = gauss_newton(rigid, rigid.identity[None], moved, still, 15)[-1]
        if abs(pose[0] - angle) > 0.05:
            break
        reached = angle
    reach.append(reached)
print("largest angle [rad]: as it is, blurred over 15 x 15 pixels:", np.round(reach, 1))
assert reach[1] > reach[0]
