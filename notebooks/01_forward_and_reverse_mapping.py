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
# # 1. Forward and reverse mapping
#
# **What you will do.** Turn and enlarge a picture in two ways: push every input pixel to where it goes, and, the other
# way round, ask for every output pixel where it comes from.
#
# **What you will learn.** Why the first way leaves holes, why spatial transformers work the second way, and why, for that
# reason, their theta maps *target to source*.
#
# **What you need.** NumPy, and matrices of 2 x 2.

# %%
import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import viz
from stnref.data import draw_digits

# %% [markdown]
# ## The picture and the map
#
# A drawn 5, of 28 x 28 pixels. The map T turns it by 30 degrees and makes it 1.5 times as large, about the centre. We write
# coordinates as (x, y), x to the right and y *down*, as the rows of an array run, and put the origin into the centre.

# %%
digit = draw_digits(1, np.random.default_rng(4), labels=[5]).images[0, :, :, 0]  # (28, 28)
image = np.roll(digit, 3, axis=0)  # digits are drawn a little above the centre
a = np.radians(30)
T = 1.5 * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])  # (2, 2)
centre = (28 - 1) / 2
rows, columns = np.mgrid[0:28, 0:28]
pixels = np.stack([columns - centre, rows - centre], axis=-1)  # (28, 28, 2), (x, y)

# %% [markdown]
# ## Push: forward mapping
#
# Every input pixel p goes to T p. That is hardly ever a pixel of the output, so we round to the nearest one and write the
# value there; a half is rounded up, as in the paper's equation 4. We also count how often each output pixel is written to.


# %%
def nearest(place):
    return np.floor(place + 0.5).astype(int)


pushed = np.zeros((28, 28))
hits = np.zeros((28, 28), dtype=int)
for n in range(28):
    for m in range(28):
        x, y = nearest(T @ pixels[n, m] + centre)
        if 0 <= x < 28 and 0 <= y < 28:
            pushed[y, x] = image[n, m]
            hits[y, x] += 1
print(f"{(hits == 0).sum()} of {hits.size} output pixels were never written to")

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for ax, picture, title in zip(
    axes, (image, pushed, hits == 0), ("input", "pushed forward", "holes"), strict=True
):
    viz.plot_image(picture[..., None].astype(float), ax=ax)
    ax.set_title(title)

# %% [markdown]
# On the right a hole is white. The map enlarges: the input's pixels lie 1.5 apart in the output, so many output pixels are missed, in
# a regular pattern. A map that makes smaller has the opposite fault, several pixels fall on one place and overwrite each other:

# %%
shrunk = np.zeros((28, 28), dtype=int)
for p in pixels.reshape(-1, 2):
    x, y = nearest(T @ p / 1.5**2 + centre)
    shrunk[y, x] += 1
print("input pixels on one output pixel, at most:", shrunk.max())
assert (hits == 0).sum() > 0
assert shrunk.max() > 1

# %% [markdown]
# ## Pull: reverse mapping
#
# Now walk over the *output*. Pixel q comes from $T^{-1} q$; we read the input there, for now at the nearest pixel. Every
# output pixel gets exactly one value: no holes, no overlaps, whatever invertible T is.

# %%
T_inverse = np.linalg.inv(T)
pulled = np.zeros((28, 28))
for i in range(28):
    for j in range(28):
        x, y = nearest(T_inverse @ pixels[i, j] + centre)
        if 0 <= x < 28 and 0 <= y < 28:
            pulled[i, j] = image[y, x]

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for ax, picture, title in zip(
    axes, (image, pushed, pulled), ("input", "pushed forward", "pulled from the input"), strict=True
):
    viz.plot_image(picture[..., None], ax=ax)
    ax.set_title(title)

# %% [markdown]
# The holes are gone; what is left is the staircase of the nearest pixel, which [the next notebook](02_bilinear_interpolation.ipynb)
# removes. Where forward mapping did write, both agree, exactly. Rounding T p moves it by at most half a pixel along each axis, so by at
# most √½ = 0.71. $T^{-1}$ shrinks that to 0.71/1.5 = 0.47, less than half a pixel, so the second rounding ends at the pixel p where we
# began.

# %%
written = hits > 0
np.testing.assert_array_equal(pushed[written], pulled[written])
print(f"the same at all {written.sum()} pixels that were written to")

# %% [markdown]
# ## The grid generator
#
# A spatial transformer works in this second way, in two steps that are kept apart:
#
# 1. the **grid generator** computes all places $T^{-1} q$ at once: the *sampling grid*;
# 2. the **sampler** reads the input there.
#
# The grid generator knows the *target grid* G, the regular grid of output pixels, in normalised coordinates: -1 and 1 are the
# centres of the first and the last pixel. Its parameters theta are the matrix that takes a *target* pixel to its *source*
# (equation 1 of the paper): theta plays the part of $T^{-1}$.

# %%
G = stnref.target_grid((28, 28))  # (28, 28, 2)
theta = np.concatenate([T_inverse, np.zeros((2, 1))], axis=1)[None]  # (1, 2, 3)
grid = stnref.affine_grid(theta, G)  # (1, 28, 28, 2)
V = stnref.grid_sample(image[None, :, :, None], grid)  # (1, 28, 28, 1)

# %%
figure, axes = plt.subplots(1, 2, figsize=(6.5, 3.2), layout="constrained")
viz.plot_image(image[..., None], ax=axes[0])
viz.plot_grid(grid[0], (28, 28), ax=axes[0])
axes[0].set_title("where the output's pixels look")
viz.plot_image(V[0], ax=axes[1])
axes[1].set_title("what they see")

# %% [markdown]
# The heavy line is the grid's first row. The grid is *turned and shrunk* by theta, and the picture thereby turned the other way
# and *enlarged*. That surprises everyone once: **a theta that shrinks coordinates zooms in**.
#
# The loop above and the library read at the same places (`unnormalize_forward` translates -1 … 1 to pixels; its second output is the
# cache of the backward, which is not needed here):

# %%
places = np.einsum("ab,ijb->ija", T_inverse, pixels) + centre  # (28, 28, 2), in pixels
points, _ = stnref.unnormalize_forward(grid[0], (28, 28))
np.testing.assert_allclose(points, places, atol=1e-12)

# %% [markdown]
# ## Two maps, one after the other
#
# First transform with A, then transform the result with B. A pixel of the last picture asks B where to look in the middle one,
# and the place it gets asks A: so the matrix of both is A B, with the *later* one nearer to the target. We check it with two
# matrices that do not commute, written as 3 x 3 so that they can be multiplied.

# %%
A = np.array([[0.8, 0, 0.1], [0, 0.5, 0], [0, 0, 1]])
B = np.array([[0, -1, 0], [1, 0, 0.2], [0, 0, 1.0]])
middle = stnref.affine_grid(B[None, :2], G)  # where the last picture looks in the middle one
x, y = np.moveaxis(middle[0], -1, 0)
in_turn = np.stack([x, y, np.ones_like(x)], axis=-1) @ A[:2].T  # and where that looks in the first
both = stnref.affine_grid((A @ B)[None, :2], G)[0]
np.testing.assert_allclose(in_turn, both, atol=1e-12)

# %% [markdown]
# ## Exercises
#
# **1.** Let T mirror the picture. Does forward mapping leave holes?

# %% [markdown]
# <details><summary>Answer</summary>
#
# No: a mirror takes pixels to pixels, each to one of its own. Maps that enlarge leave
# holes, and so do most turns, but not those by a multiple of 90 degrees.
#
# </details>

# %% tags=["hide-cell"]
mirror = np.array([[-1, 0], [0, 1]])
there = np.floor(pixels @ mirror.T + centre + 0.5).astype(int)  # (28, 28, 2)
assert len({tuple(p) for p in there.reshape(-1, 2)}) == 28 * 28

# %% [markdown]
#
# **2.** Which theta shows the left half of the picture only, and fills the output with it?

# %% [markdown]
# <details><summary>Answer</summary>
#
# x from -1 to 1 has to become x from -1 to 0: x / 2 - 1/2. So theta = [[1/2, 0, -1/2], [0, 1, 0]]; the output is stretched.
#
# </details>

# %% tags=["hide-cell"]
half = stnref.affine_grid(np.array([[[0.5, 0, -0.5], [0, 1, 0]]]), G)[0]
np.testing.assert_allclose([half[..., 0].min(), half[..., 0].max()], [-1, 0], atol=1e-15)

# %% [markdown]
#
# **3.** Give the output 10 x 40 pixels (`target_grid((10, 40))`). What does the identity theta show?

# %% [markdown]
# <details><summary>Answer</summary>
#
# The whole picture, squeezed to 10 rows and stretched to 40 columns: the grid's corners are the picture's corners, whatever its size.
#
# </details>

# %% tags=["hide-cell"]
wide = stnref.target_grid((10, 40))
assert wide.shape == (10, 40, 2)
np.testing.assert_array_equal([wide[0, 0], wide[-1, -1]], [[-1, -1], [1, 1]])
