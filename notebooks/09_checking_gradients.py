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
# # 9. Checking gradients
#
# **What you will do.** Measure how exact a numerical derivative can be; bring three well-known checks to fail on a sampler that is
# right, and see why; then let `check_gradients` find a mistake and name it, in a sampler and in a network from a tutorial.
#
# **What you will learn.** What a passed check is worth and what a failed one is worth; why finite differences are confident and wrong
# on a kink;
# and that the identity, where every spatial transformer begins, consists of nothing but kinks.
#
# **What you need.** [Backpropagation](05_backpropagation.ipynb). SciPy and PyTorch are compared with where they are installed.

# %%
import importlib.util

import matplotlib.pyplot as plt
import numpy as np

import stnref
from stnref import viz
from stnref.gradcheck import taylor_test

rng = np.random.default_rng(0)

# %% [markdown]
# ## How exact is a numerical derivative?
#
# The central difference is exact up to a term in h², which the Taylor series names,
#
# $$c(h) = \frac{f(x+h) - f(x-h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + \dots,$$
#
# so h should be small. But the computer knows f only to a relative ε = 2.2·10⁻¹⁶, and the quotient makes an error of about ε|f|/h
# of that, so h should be large. The sum of the two is least at about h = ε^(1/3), where an error of about ε^(2/3) = 4·10⁻¹¹ is left:
# a third of the digits are lost, with the best step.
#
# Two ways out. **Richardson**: take two steps, h and h/4; the h² term of the second is a sixteenth of the first's, and
# (16 c(h/4) - c(h))/15 is without it. Now larger steps will do. The **complex step**: for a function with a Taylor series,
# f(x + ih) = f(x) + ih f'(x) - h²/2 f''(x) - …, so Im f(x + ih)/h is the derivative, and *nothing is subtracted*: h can be as small
# as we like.


# %%
def central(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


h = 2.0 ** -np.arange(1, 45)
exact = 1 - np.tanh(0.7) ** 2
derivatives = {
    "central difference": central(np.tanh, 0.7, h),
    "Richardson": (16 * central(np.tanh, 0.7, h / 4) - central(np.tanh, 0.7, h)) / 15,
    "complex step": np.tanh(0.7 + 1j * h).imag / h,
}
errors = {name: np.abs(d - exact) / exact for name, d in derivatives.items()}

# %%
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for (name, error), style in zip(errors.items(), ("o-", "s-", "^-"), strict=True):
    ax.loglog(h, np.maximum(error, 1e-17), style, ms=3, label=name)
ax.loglog(h, 2.2e-16 / h, "k:", lw=1, label="round-off, ε/h")
ax.set(ylim=(5e-18, 1), xlabel="step h", ylabel="relative error of the derivative of tanh at 0.7")
ax.legend()

# %%
for name in ("central difference", "Richardson"):
    error = errors[name]
    print(f"{name:20s} at best {error.min():.0e}, with h = {h[error.argmin()]:.0e}")
print(
    f"{'complex step':20s} at most {errors['complex step'][h < 1e-8].max():.0e} for all h below 1e-8"
)
eps = np.finfo(float).eps
assert errors["central difference"].min() < 10 * eps ** (2 / 3)
assert errors["Richardson"].min() < errors["central difference"].min()
assert errors["complex step"][h < 1e-8].max() < 4 * eps  # and it stays there

# %% [markdown]
# So the complex step is the witness to prefer, and Richardson's differences that for a function that takes no complex numbers.
# `check_gradients` finds out which, and walks down a ladder of steps instead of guessing one.
#
# ## What is compared
#
# A backward takes an upstream gradient and returns Jᵀ dout. The check draws dout at random: with ones in its place a backward
# that forgets to multiply by dout would pass. Then it differentiates by each element of the input, one by one, and compares. That
# is worth as much as the points it was made at: an element that is never asked, a branch that is never taken, and a term that is zero
# there all pass. On the other side, *a failed check need not be a wrong gradient*. That is the next section.
#
# ## The identity lies on kinks, all of it
#
# A spatial transformer starts as the identity. If the output has the size of the input, the samples then are exactly the pixels:
# every one lies on a line of the lattice, in x and in y, and the slope of bilinear interpolation jumps there
# ([step 2 of backpropagation](05_backpropagation.ipynb)).
#
# The size 8 x 7 is not chosen at random. With the plain formula (g + 1)(W - 1)/2 some samples miss their pixel by round-off,
# and those just below have the slope to the left, where their neighbours have that to the right.

# %%
H, W = 8, 7
U = rng.normal(size=(1, H, W, 1))
points, _ = stnref.unnormalize_forward(stnref.target_grid((H, W))[None], (H, W))  # (1, H, W, 2)
pixels = np.stack(np.meshgrid(np.arange(W), np.arange(H)), axis=-1)
g = np.stack(np.meshgrid(np.linspace(-1, 1, W), np.linspace(-1, 1, H)), axis=-1)
plain = (g + 1) * (np.array([W, H]) - 1) / 2
print(f"plain formula: {(plain != pixels).sum()} of {pixels.size} coordinates miss the lattice,")
print(f"               {(plain < pixels).sum()} of them fall into the cell to the left")
print(stnref.kink_report(points, (H, W)))
assert (points == pixels).all()  # ours are exact
assert (plain != pixels).any()

# %% [markdown]
# For each sample the slopes to both sides are differences of neighbours (outside lie zeros). Everything that follows has to be
# compared with these.

# %%
padded = np.pad(U[0, :, :, 0], 1)
middle = padded[1:-1, 1:-1]
left = np.stack([middle - padded[1:-1, :-2], middle - padded[:-2, 1:-1]], axis=-1)
right = np.stack([padded[1:-1, 2:] - middle, padded[2:, 1:-1] - middle], axis=-1)  # (H, W, 2)
V, cache = stnref.sample_forward(U, points)
_, dpoints = stnref.sample_backward(np.ones_like(V), cache)
np.testing.assert_allclose(dpoints[0], right, atol=1e-15)  # our rule: the slope to the right

# %% [markdown]
# ### Central differences
#
# At a kink f(x + h) = f + h s₊ and f(x - h) = f - h s₋, with two slopes, so c(h) = (s₊ + s₋)/2: the mean, *whatever h is*. Who
# compares two steps in order to be sure finds them in agreement, to all digits.


# %%
def value(x, y):
    """V at any coordinates, element by element."""
    x, y = np.broadcast_arrays(x, y)
    flat = np.stack([x.ravel(), y.ravel()], axis=-1)[None, None]
    return stnref.sample_forward(U, flat)[0].reshape(x.shape)


X, Y = points[0, ..., 0], points[0, ..., 1]
mean = (left + right)[..., 0] / 2
print(f"sample [6, 5]: left {left[6, 5, 0]:.6f}, right {right[6, 5, 0]:.6f}")
for step in (1e-1, 1e-2, 1e-3, 1e-5, 1e-7):
    c = central(lambda x: value(x, Y), X, step)
    print(f"h = {step:.0e}: c = {c[6, 5]:.6f}, farthest from the mean {np.abs(c - mean).max():.0e}")
    np.testing.assert_allclose(c, mean, atol=1e-7)

# %% [markdown]
# ### SciPy
#
# `scipy.differentiate.derivative` uses central differences of eighth order with shrinking steps, and says how sure it is. It is made
# for smooth
# functions, and here it cannot know that it has none:

# %%
if importlib.util.find_spec("scipy") and importlib.util.find_spec("scipy.differentiate"):
    from scipy.differentiate import derivative

    result = derivative(value, X, args=(Y,))
    neither = np.abs(result.df - left[..., 0]) > 1e-6
    neither &= np.abs(result.df - right[..., 0]) > 1e-6
    print(f"success: {result.success.sum()} of {result.success.size}, nit {result.nit.max()}")
    print(f"largest estimate of the error: {result.error.max():.0e}")
    print(f"neither the slope to the left nor to the right: {neither.sum()}")
    print(f"farthest from the mean of both: {np.abs(result.df - mean).max():.0e}")
    assert result.success.all()
    assert neither.all()

# %% [markdown]
# Success everywhere, an error estimate of round-off, and the number is no slope of this function. (With `step_direction=1` it looks to
# one side only, and gives the slope to the right.)
#
# ### PyTorch
#
# `torch.autograd.gradcheck` compares the backward with central differences. Of `grid_sample` with the identity it says:

# %%
if importlib.util.find_spec("torch"):
    import torch

    U_t = torch.tensor(U.transpose(0, 3, 1, 2))
    theta_t = torch.eye(2, 3, dtype=torch.float64)[None]
    grid_t = torch.nn.functional.affine_grid(theta_t, U_t.shape, align_corners=True)
    grid_t.requires_grad_()

    def sample_t(grid):
        return torch.nn.functional.grid_sample(U_t, grid, align_corners=True)


# %%
if importlib.util.find_spec("torch"):
    message = ""
    try:
        torch.autograd.gradcheck(sample_t, (grid_t,))
    except RuntimeError as error:
        message = str(error)
    print(message)
    assert "Jacobian mismatch" in message

# %% [markdown]
# Numbers, and no reason. Nothing is wrong with PyTorch: the numbers called numerical are the means, and its gradient is a slope to one
# side each time. Only, not everywhere to the same side: its grid has a round-off of the kind that we met above. It computes in another
# order than the plain formula, so fewer or more coordinates miss their pixel than the 15 there.

# %%
if importlib.util.find_spec("torch"):
    sample_t(grid_t).sum().backward()
    pixels_per_unit = (np.array([W, H]) - 1) / 2
    first_mean, first_right = mean[0, 0] * pixels_per_unit[0], right[0, 0, 0] * pixels_per_unit[0]
    print(f"x of the first sample: mean {first_mean:.4f}, slope to the right {first_right:.4f}")
    per_pixel = grid_t.grad[0].numpy() / pixels_per_unit
    is_right, is_left = (np.isclose(per_pixel, slope) for slope in (right, left))
    print(f"PyTorch: right {is_right.sum()}, left {is_left.sum()} of {per_pixel.size}")
    assert (is_right | is_left).all()

# %% [markdown]
# ### What can be checked on a kink
#
# There is no derivative to compare with. But there are the slopes to both sides, and a rule is sensible if it gives a number between
# them. And a kink is easily told from a smooth place: look at the *difference* of the two one-sided slopes as h shrinks. Of a smooth
# function it goes down with h; at a kink it stays.

# %%
print("   h      tanh at 0.7     V at a pixel")
for step in (1e-1, 1e-2, 1e-3, 1e-4):
    ahead = (np.tanh(0.7 + step) - np.tanh(0.7)) / step, (value(X + step, Y) - value(X, Y)) / step
    behind = (np.tanh(0.7) - np.tanh(0.7 - step)) / step, (value(X, Y) - value(X - step, Y)) / step
    smooth, kink = ahead[0] - behind[0], (ahead[1] - behind[1])[6, 5]
    print(f"{step:.0e}   {smooth:12.6f}    {kink:12.6f}")
assert abs(smooth) < 1e-4
np.testing.assert_allclose(kink, (right - left)[6, 5, 0], rtol=1e-6)

# %% [markdown]
# So does `check_gradients`: it finds the kinks, says how many there are, and judges those elements by the slopes to both sides. The
# argument `kinks` is a *kink map*: how far each element is from its nearest kink. It is not needed here; with it the report
# shows the distances.


# %%
def kink_map(U, points):
    return [None, stnref.kink_report(points, U.shape[1:-1]).distance]


report = stnref.check_gradients(
    stnref.sample_forward,
    stnref.sample_backward,
    [U, points],
    names=["U", "points"],
    kinks=kink_map,
)
print(report)
assert report.ok
assert report.inputs[1].kinked.all()

# %% [markdown]
# Four rules for the lattice are kernels of the library. The slope to the right, to the left and the mean of both pass. Equation 7 of
# the paper, read literally, gives the sample's own pixel the factor +1 and its neighbours 0, so that the "slope" is the value of the
# pixel, and that lies between the slopes by chance only:

# %%
reports = {}
for rule in ("right", "left", "central", "paper"):
    kernel = stnref.kernels.linear(rule)
    reports[rule] = stnref.check_gradients(
        lambda U, points, kernel=kernel: stnref.sample_forward(U, points, kernel=kernel),
        stnref.sample_backward,
        [U, points],
        names=["U", "points"],
        kinks=kink_map,
    )
    outside = reports[rule].inputs[1].outside
    print(f"{rule:8s} ok: {reports[rule].ok!s:6s} outside the slopes: {outside} of {points.size}")
assert [name for name, r in reports.items() if not r.ok] == ["paper"]

# %%
(finding,) = reports["paper"].findings
print(finding)
assert finding.cause == "kink"

# %% [markdown]
# The figure of that report has the errors on the left: white where the gradient is allowed, red where it is not. The kink map is on the
# right: every element has a circle, for it lies on a kink, and those outside the slopes are filled. The two halves, j = 0 and 1,
# are x and y.

# %%
figure = plt.figure(figsize=(9, 3.6), layout="constrained")
viz.plot_gradient_error(reports["paper"].inputs[1], figure=figure)

# %% [markdown]
# Compare a sampler that is turned a little. Off the lattice the four rules are one, and all pass; the map shows which samples are close
# to a line, and need a small step.

# %%
a = 0.2
theta = np.array([[[np.cos(a), -np.sin(a), 0.013], [np.sin(a), np.cos(a), 0.007]]])
grid = stnref.affine_grid(theta, stnref.target_grid((H, W)))
turned, _ = stnref.unnormalize_forward(grid, (H, W))
kernel = stnref.kernels.linear("paper")
report = stnref.check_gradients(
    lambda U, points: stnref.sample_forward(U, points, kernel=kernel),
    stnref.sample_backward,
    [U, turned],
    names=["U", "points"],
    kinks=kink_map,
)
assert report.ok, report

# %%
figure = plt.figure(figsize=(9, 3.6), layout="constrained")
viz.plot_gradient_error(report.inputs[1], figure=figure)

# %% [markdown]
# ## A mistake, and its name
#
# Here is a bilinear sampler as one writes it for the first time. For samples well inside the map it has all four corners, the right
# weights and the right derivatives by x and y.


# %%
def corners(points):
    """Rows, columns and weights of the four corners."""
    m, n = (np.floor(points[..., k]).astype(int) for k in (0, 1))
    fx, fy = points[..., 0] - m, points[..., 1] - n
    weights = (1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx
    places = (n, m), (n, m + 1), (n + 1, m), (n + 1, m + 1)
    return [(*place, w[..., None]) for place, w in zip(places, weights, strict=True)]


def forward(U, points):
    b = np.arange(len(U))[:, None, None]
    return sum(w * U[b, n, m] for n, m, w in corners(points)), (U, points)


# %%
def backward(dV, cache):
    U, points = cache
    b = np.arange(len(U))[:, None, None]
    dU = np.zeros_like(U)
    for n, m, w in corners(points):
        dU[b, n, m] += w * dV
    nw, ne, sw, se = (U[b, n, m] for n, m, _ in corners(points))
    fx, fy = np.split(points - np.floor(points), 2, axis=-1)
    dx = (1 - fy) * (ne - nw) + fy * (se - sw)
    dy = (1 - fx) * (sw - nw) + fx * (se - ne)
    return dU, np.stack([(dx * dV).sum(-1), (dy * dV).sum(-1)], axis=-1)


# %% [markdown]
# Would you have seen it? Here is what the check says.

# %%
small = rng.normal(size=(1, 5, 6, 2))
inside = rng.uniform(0.2, 0.8, size=(1, 2, 4, 2)) + rng.integers(0, 4, size=(1, 2, 4, 2))
report = stnref.check_gradients(forward, backward, [small, inside], names=["U", "points"])
print(report)
assert report.findings[0].cause == "accumulation-lost"

# %% [markdown]
# `dU[b, n, m] += …` looks like a sum, but NumPy reads `dU[b, n, m]`, adds, and writes back: of several samples with the same
# corner the last one wins. Where a pixel has one reader only the gradient is right, and so a check with one sample
# would have passed. The figure shows the pixels that have several.

# %%
figure = plt.figure(figsize=(9, 2.9), layout="constrained")
viz.plot_gradient_error(report.inputs[0], figure=figure)

# %% [markdown]
# `np.add.at` adds up repeated indices. With it the check passes; with one corner left out it says which.


# %%
def scatter(dV, cache, count):
    U, points = cache
    dU = np.zeros_like(U)
    for n, m, w in corners(points)[:count]:
        np.add.at(dU, (np.arange(len(U))[:, None, None], n, m), w * dV)
    return dU, backward(dV, cache)[1]


for count in (4, 3):
    report = stnref.check_gradients(
        forward, lambda dV, cache, n=count: scatter(dV, cache, n), [small, inside], names="UP"
    )
    print(f"{count} corners, ok: {report.ok}", *report.findings, sep="\n")
    assert [finding.cause for finding in report.findings] == ["corner-missing"] * (count == 3)

# %% [markdown]
# ## A witness without a tolerance: the Taylor test
#
# All checks so far compare two numbers and need a tolerance. Those who differentiate simulations (by adjoint equations) have another
# custom. Take one direction v and one upstream gradient, f(x) = ⟨dV, forward(x)⟩. Taylor's formula says what is left over:
#
# $$f(x + hv) - f(x) = h \langle \nabla f, v \rangle + O(h^2).$$
#
# Without the gradient the left side vanishes like h. Subtract h ⟨backward(dV), v⟩: if the gradient is right, the remainder vanishes like
# h², and falls by *four* when h is halved. If it is wrong by δ, h⟨δ, v⟩ stays, and the remainder falls by two. On log–log axes these are
# lines of slope 2 and 1, which the eye tells apart.

# %%
tests = {"student's": backward, "with add.at": lambda dV, cache: scatter(dV, cache, 4)}
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for ax, (name, function) in zip(axes, tests.items(), strict=True):
    test = taylor_test(forward, function, [small, inside])
    viz.plot_taylor_test(test, ax=ax)
    ax.set_title(f"{name}: {test}".split(",")[0])
    assert test.ok == (name == "with add.at")

# %% [markdown]
# The squares are the remainder with the gradient, the dots the change without it; in the grey band all is round-off. The test costs
# one backward and
# twenty forwards, *however large the input is*, so it is the one for a whole network. It pays for that: it says nothing of
# where and why. And it has to be read to its end: a mistake of a thousandth shows only where h is below a thousandth.
#
# Let us break each term of the sampler's gradient in turn and hold the two witnesses side by side.


# %%
changes = {
    "nothing": lambda dpoints: dpoints,
    "the sign of dx": lambda dpoints: dpoints * [-1, 1],
    "the factor of dy": lambda dpoints: dpoints * [1, 0.5],
    "x and y": lambda dpoints: dpoints[..., ::-1],
}


def broken(change, count=4):
    def function(dV, cache):
        dU, dpoints = scatter(dV, cache, count)
        return dU, change(dpoints)

    return function


# %%
variants = {name: broken(change) for name, change in changes.items()}
variants["a corner of dU"] = broken(changes["nothing"], count=3)
for term, function in variants.items():
    test = taylor_test(forward, function, [small, inside])
    named = stnref.check_gradients(forward, function, [small, inside], names=["U", "points"])
    causes = ", ".join(finding.cause for finding in named.findings[:1]) or "right"
    print(f"{term:17s} rate {test.rate:.2f}   {causes}")
    assert test.ok == named.ok == (term == "nothing")

# %% [markdown]
# On a kink Taylor's formula does not hold: the remainder has slope 1 with any gradient. At the identity the test therefore fails for
# a sampler that is right.

# %%
at_identity = taylor_test(stnref.sample_forward, stnref.sample_backward, [U, points])
print(at_identity)
assert not at_identity.ok

# %% [markdown]
# ## A mistake that is out there
#
# The page [Deep learning on MNIST](https://numpy.org/numpy-tutorials/content/tutorial-deep-learning-on-mnist.html) of the NumPy tutorials
# trains a network with one hidden layer: scores = relu(X W₁) W₂. For backward it needs the derivative of the rectifier, one where the
# unit is
# on. It asks `output >= 0` for that, and gives it the layer *after* the rectifier, in which no number is negative: the answer
# is yes everywhere.
#
# Here is a network of that kind in our words, without dropout, with one image of twelve pixels.


# %%
def network_forward(X, W1, W2):
    hidden = np.maximum(X @ W1, 0)  # (B, units)
    return hidden @ W2, (X, W1, W2, hidden)


def network_backward(dscores, cache, is_on):
    X, W1, W2, hidden = cache
    dhidden = dscores @ W2.T * is_on(hidden)
    return dhidden @ W1.T, X.T @ dhidden, hidden.T @ dscores


# %%
def of_the_page(dscores, cache):
    return network_backward(dscores, cache, lambda hidden: hidden >= 0)


def corrected(dscores, cache):
    return network_backward(dscores, cache, lambda hidden: hidden > 0)


# %%
draw = np.random.default_rng(0).uniform
image, W1, W2 = draw(0, 1, (1, 12)), draw(-0.1, 0.1, (12, 7)), draw(-0.1, 0.1, (7, 3))
names = ["X", "W1", "W2"]
report = stnref.check_gradients(network_forward, of_the_page, [image, W1, W2], names=names)
print(report.findings[0])
assert report.findings[0].cause == "relu-mask"

# %% [markdown]
# The figure of dW₁ says it too. Each column belongs to a unit of the hidden layer. The columns of those that are on are right; those of
# the others are wrong from top to bottom, for there the gradient is zero.

# %%
figure = plt.figure(figsize=(9, 5), layout="constrained")
viz.plot_gradient_error(report.inputs[1], figure=figure)
off = (image @ W1 < 0)[0]
np.testing.assert_array_equal((report.inputs[1].error > 1e-6).any(axis=0), off)

# %% [markdown]
# The network of the page learns nevertheless: W₂ has its right gradient, and that of W₁ is right for the units that are on. A loss that
# goes down is no check of a gradient. One character repairs it, `>` for `>=`: after the rectifier "positive" and "on" are the same.
#
# And a check, we said, is worth as much as the points it was made at: with weights for which all units are on the mistake
# is not seen, since nothing there is wrong.

# %%
report = stnref.check_gradients(network_forward, corrected, [image, W1, W2], names=names)
print(f"corrected, ok: {report.ok}")
assert report.ok
all_on = [image, np.abs(W1), W2]
unseen = stnref.check_gradients(network_forward, of_the_page, all_on, names=names)
print(f"of the page, with all units on, ok: {unseen.ok}")
assert unseen.ok

# %% [markdown]
# ## Exercises
#
# **1.** Move `points` by 10⁻⁹ of a pixel. How many elements lie on a kink, and what does the rule "paper" get now?

# %% [markdown]
# <details><summary>Answer</summary>
#
# None: off the lattice, be it by little, there is one slope, and all rules have it. The check takes steps that stay in the cell.
#
# </details>

# %% tags=["hide-cell"]
beside = points + 1e-9
assert stnref.kink_report(beside, (H, W)).n_kinks == 0
literal = stnref.kernels.linear("paper")
report = stnref.check_gradients(
    lambda U, points: stnref.sample_forward(U, points, kernel=literal),
    stnref.sample_backward,
    [U, beside],
)
assert report.ok, report

# %% [markdown]
# **2.** With `align_corners=False` in `target_grid` and in `unnormalize_forward`: are the samples of the identity on kinks?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Yes, all of them. The outer edges are at -1 and 1 now, but target and source have the same rule: pixel i still looks at pixel i.
#
# </details>

# %% tags=["hide-cell"]
G = stnref.target_grid((H, W), align_corners=False)
edges, _ = stnref.unnormalize_forward(G[None], (H, W), align_corners=False)
assert stnref.kink_report(edges, (H, W)).n_kinks == H * W

# %% [markdown]
# **3.** In the student's sampler exchange `dx` and `dy`. Does the report name it?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Yes: the two coordinates are exchanged.
#
# </details>


# %% tags=["hide-cell"]
def exchanged(dV, cache):
    dU, dpoints = scatter(dV, cache, 4)
    return dU, dpoints[..., ::-1]


report = stnref.check_gradients(forward, exchanged, [small, inside], names=["U", "points"])
print(report.findings[0])
assert report.findings[0].cause == "xy-swapped"

# %% [markdown]
# **4.** Write a backward with a mistake that has no name here. What does the report say?

# %% [markdown]
# <details><summary>Answer</summary>
#
# That the gradient is wrong, where, and by how much. A checker that finds no name says so, and does not guess.
#
# </details>


# %% tags=["hide-cell"]
def odd(dY, cache):
    Y = np.tanh(cache)
    return dY * (1 - Y**3)


report = stnref.check_gradients(lambda X: (np.tanh(X), X), odd, [rng.normal(size=(3, 4))])
print(report)
assert not report.ok
