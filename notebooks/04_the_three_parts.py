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
# # 4. The three parts of the module
#
# **What you will do.** Build a spatial transformer out of its parts, each by itself first: localisation net, grid generator, sampler.
#
# **What you will learn.** Which part has parameters (one), why generating the grid and sampling are kept apart, and what the
# module promises about sizes and channels.
#
# **What you need.** [Forward and reverse mapping](01_forward_and_reverse_mapping.ipynb),
# [bilinear interpolation](02_bilinear_interpolation.ipynb), [generate grids](03_generate_grids.ipynb).

# %%
import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import nn, viz
from stnref.data import draw_digits, rotate

rng = np.random.default_rng(3)
digits = draw_digits(6, rng, labels=[2, 3, 4, 5, 6, 7])
U = rotate(digits.images, rng, limit=np.pi / 3).images  # (6, 28, 28, 1)

# %% [markdown]
# ## The grid generator
#
# It takes parameters theta and makes a sampling grid: for every pixel of the *output* the place in the *input* where it looks.
# It works in two layers of its own. The target grid G is the regular grid of the output's pixels; the transform moves every point
# of it. In normalised coordinates, the pictures' sizes do not matter.

# %%
G = stnref.target_grid((20, 20))  # (20, 20, 2)
print("first pixel", G[0, 0], " last pixel", G[-1, -1])
theta = np.array([[[0.6, -0.3, 0.1], [0.3, 0.6, 0.0]]])  # (1, 2, 3)
grid, grid_cache = stnref.affine_grid_forward(theta, G)
i, j = 4, 15
by_hand = theta[0] @ np.array([*G[i, j], 1])  # equation 1, for one pixel
np.testing.assert_allclose(grid[0, i, j], by_hand, atol=1e-15)

# %% [markdown]
# The affine transform has six parameters. Families with fewer are maps into its matrices; fewer parameters are easier to learn
# and cannot go astray in as many ways.

# %%
examples = {
    "translation": [0.3, 0.0],
    "attention": [0.5, 0.2, 0.0],
    "rigid": [0.5, 0.0, 0.0],
    "similarity": [0.7, 0.5, 0.0, 0.1],
    "affine": [0.8, 0.4, 0.0, 0.0, 0.6, 0.1],
}

# %%
figure, axes = plt.subplots(2, 5, figsize=(10, 4.2), layout="constrained")
for (name, params), column in zip(examples.items(), axes.T, strict=True):
    transform = stnref.get_transform(name, (28, 28))
    grid, _ = transform.forward(np.array([params]))
    viz.plot_image(U[0], ax=column[0])
    viz.plot_grid(grid[0], (28, 28), ax=column[0])
    column[0].set(title=f"{name} ({transform.n_params})", xlim=(-5, 32), ylim=(32, -5))
    viz.plot_image(stnref.grid_sample(U[:1], grid)[0], ax=column[1])

# %% [markdown]
# Above: where the output looks; the heavy line is the grid's first row. Below: what it sees. Every family has parameters that
# give the target grid itself, the *identity*; training starts there.

# %%
for name in examples:
    transform = stnref.get_transform(name, (28, 28))
    grid, _ = transform.forward(transform.identity[None])
    np.testing.assert_allclose(grid[0], stnref.target_grid((28, 28)), atol=1e-12)
    print(f"{name:12s} identity {transform.identity}")

# %% [markdown]
# ## The sampler
#
# It takes a map and a grid, and interpolates. It does not know where the grid comes from: that is why the two are kept apart.
# Any transform works with any interpolation, and each has a gradient of its own. Three promises:
#
# - the output has the *grid's* size, whatever the input's;
# - every channel is read at the same places, and their number does not change;
# - neither it nor the grid generator has parameters to learn.

# %%
G = stnref.target_grid((12, 40))
grid = stnref.affine_grid(np.array([[[1.0, 0, 0], [0, 0.4, 0]]]), G)
map_with_5_channels = rng.normal(size=(1, 28, 28, 5))
V = stnref.grid_sample(map_with_5_channels, grid)
print(map_with_5_channels.shape, "->", V.shape)
alone = stnref.grid_sample(map_with_5_channels[..., 3:4], grid)
np.testing.assert_array_equal(V[..., 3:4], alone)

# %% [markdown]
# ## The localisation net
#
# It looks at the input and says what theta is to be, for *each picture of its own*: that is what makes the module adaptive. It
# may be any net, as long as it ends in a regression layer with as many outputs as the transform has parameters: 6 for
# the affine one, 2 for a translation.
#
# To see it at work without training, here is one that is not learnt: it computes the principal axis of the ink and answers
# with the angle that turns it upright.


# %%
def upright(picture):
    """Return the angle between the ink's principal axis and the vertical, positive clockwise."""
    y, x = np.mgrid[-1:1:28j, -1:1:28j]
    ink = picture / picture.sum()
    x, y = x - (ink * x).sum(), y - (ink * y).sum()
    xx, yy, xy = ((ink * product).sum() for product in (x * x, y * y, x * y))
    return -np.arctan2(2 * xy, yy - xx) / 2


angle = np.array([upright(picture[..., 0]) for picture in U])
params = np.stack([angle, 0 * angle, 0 * angle], axis=-1)  # (6, 3), of the rigid transform
grid, _ = stnref.get_transform("rigid", (28, 28)).forward(params)
V = stnref.grid_sample(U.astype(float), grid)

# %%
figure = plt.figure(figsize=(7, 2.6), layout="constrained")
viz.plot_sheet(U, grid, V, columns=6, figure=figure)

# %% [markdown]
# Six pictures, six grids. The principal axis is not the same thing as upright (a 7 leans, and the ink of a 4 spreads to the side),
# and what is best is for the classifier to say. So theta is learnt, from the classifier's loss alone: nobody ever tells the net an angle.
#
# ## The module
#
# `SpatialTransformer` puts the three parts together, as one layer: `forward` gives the output and a cache, `backward` the
# gradients. Its regression layer starts with zero weights and the identity's parameters as bias: **at the start it passes its
# input on as it is**. With random weights it would start with random grids, many of them outside of the picture, where
# there is no gradient.

# %%
localisation = nn.Sequential(
    half=nn.AvgPool2d(2),
    flatten=nn.Flatten(),
    fc=nn.Linear(14 * 14, 32),
    relu=nn.Relu(),
)
st = stnref.SpatialTransformer(localisation, 32, (28, 28), transform="affine")
parameters = st.init(rng)
V, cache = st.forward(U, parameters)
np.testing.assert_allclose(V, U, atol=1e-5)
for name, value in parameters.items():
    print(f"{name:20s} {value.shape}")

# %% [markdown]
# Its parameters are those of the localisation net and of the regression layer; the other two parts have none. If we move the
# bias by hand, all grids move alike; if we give the weights values, each picture gets its own.

# %%
by_hand = {**parameters, "regression.b": np.array([0.5, 0, 0, 0, 0.5, 0], np.float32)}
V, cache = st.forward(U, by_hand)
zoom = np.broadcast_to(0.5 * stnref.target_grid((28, 28)), cache.grid.shape)
np.testing.assert_allclose(cache.grid, zoom, atol=1e-6)
weights = rng.normal(scale=0.05, size=(32, 6)).astype(np.float32)
V, cache = st.forward(U, {**parameters, "regression.W": weights})
print("theta of the first two pictures:", *cache.theta[:2].round(2), sep="\n")
assert np.ptp(cache.theta, axis=0).min() > 0

# %% [markdown]
# ## Anywhere in a network
#
# As it is a layer, it can stand at the input or deep inside, on feature maps, and there can be several. Here the second one
# reads 8 channels of 12 x 12 and passes on 8 channels of 6 x 6.

# %%
inner = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(12 * 12 * 8, 16), tanh=nn.Tanh())
network = nn.Sequential(
    st1=st,
    conv=nn.Conv2d(1, 8, 5),
    pool=nn.MaxPool2d(2),
    st2=stnref.SpatialTransformer(inner, 16, (6, 6), transform="attention"),
    flatten=nn.Flatten(),
    classifier=nn.Linear(6 * 6 * 8, 10),
)
logits, caches = network.forward(U, network.init(rng))
print(logits.shape, caches["st2"].theta.shape)
assert logits.shape == (6, 10)

# %% [markdown]
# ## Volumes
#
# One axis more changes nothing in the three parts: a map (B, D, H, W, C), a grid (B, D', H', W', 3) whose last axis is (x, y, z), and
# an affine theta of 3 x 4 numbers. (B is here the number of pictures, D that of slices; H rows, W columns, C channels.) A sample has
# eight neighbours in place of four. Here a digit is extruded into a block, and the block turned about its upright axis; what is shown
# is the mean over the depth, as one looks through it.

# %%
block = np.zeros((1, 28, 28, 28, 1))  # (B, D, H, W, C)
block[:, 10:18] = U[:1].astype(float)[:, None]
G = stnref.target_grid((28, 28, 28))
angles = np.deg2rad([0, 30, 60, 90])
theta = np.zeros((4, 3, 4))
theta[:, 1, 1] = 1
theta[:, 0, 0] = theta[:, 2, 2] = np.cos(angles)
theta[:, 0, 2], theta[:, 2, 0] = -np.sin(angles), np.sin(angles)
turned = stnref.grid_sample(np.repeat(block, 4, axis=0), stnref.affine_grid(theta, G))

# %%
figure, axes = plt.subplots(1, 4, figsize=(9, 2.5), layout="constrained")
for ax, a, volume in zip(axes, angles, turned, strict=True):
    viz.plot_image(volume.mean(axis=0) / turned.mean(axis=1).max(), ax=ax)
    ax.set_title(f"{np.degrees(a):.0f} degrees")

# %% [markdown]
# From the side the digit is a bar: its rows are left, its columns lie behind each other. And a turn about the axis of depth, on which
# all slices turn alike, has to be the plane's own rotation, slice by slice:

# %%
c, z = np.cos(0.4), np.sin(0.4)
about_depth = np.array([[[c, -z, 0, 0], [z, c, 0, 0], [0, 0, 1, 0]]])
in_space = stnref.grid_sample(block, stnref.affine_grid(about_depth, G))
flat = stnref.affine_grid(np.array([[[c, -z, 0], [z, c, 0]]]), stnref.target_grid((28, 28)))
in_plane = stnref.grid_sample(block[:, 14], flat)
np.testing.assert_allclose(in_space[:, 14], in_plane, atol=1e-12)

# %% [markdown]
# ## Exercises
#
# **1.** How many parameters has the regression layer of each family, with 32 features?

# %% [markdown]
# <details><summary>Answer</summary>
#
# One row of 32 weights and a bias for each parameter of the family: 33 times 2, 3, 3, 4 and 6.
#
# </details>

# %% tags=["hide-cell"]
for name, count in zip(examples, (2, 3, 3, 4, 6), strict=True):
    layer = stnref.SpatialTransformer(nn.Flatten(), 32, (28, 28), transform=name).regression
    assert sum(p.size for p in layer.init(rng).values()) == 33 * count

# %% [markdown]
#
# **2.** Let `out_shape` be (14, 14). What does the identity show now, and what does it cost the classifier?

# %% [markdown]
# <details><summary>Answer</summary>
#
# The whole picture at half the size: every second pixel or so is read, and those between are lost. Pooling would use them all.
#
# </details>

# %% tags=["hide-cell"]
small = stnref.SpatialTransformer(localisation, 32, (14, 14), transform="affine")
V, cache = small.forward(U, small.init(rng))
assert V.shape == (6, 14, 14, 1)
touched = stnref.grid_sample_backward(np.ones_like(V), cache.sample)[0][0] != 0
assert 0.7 < touched.mean() < 1  # a pixel between two samples in both axes is read by neither

# %% [markdown]
#
# **3.** Start the regression with random weights of size 1 and look at the grids.

# %% [markdown]
# <details><summary>Answer</summary>
#
# They lie anywhere, most samples outside of the picture: zeros, and no gradient. See [when training fails](11_when_training_fails.ipynb).
#
# </details>

# %% tags=["hide-cell"]
random = rng.normal(size=(32, 6)).astype(np.float32)
_, cache = st.forward(U, {**parameters, "regression.W": random})
print(f"{(np.abs(cache.grid) > 1).any(axis=-1).mean():.0%} of the samples are outside")
assert (np.abs(cache.grid) > 1).any(axis=-1).mean() > 0.5
