"""
Rotations and scales
====================

One more argument, ``rotations="octahedral"``, and a network is equivariant to the 24 rotations of the cube as well. It
can return arrows that turn with the volume. Nothing else has to be installed for it; for all rotations, "so3", the
package escnn helps.
"""

from __future__ import annotations

import torch
from rich import print

import scalegroup as sg
from scalegroup import nn, visual
from scalegroup.testing import rotation_error

# %%
# Fields of vectors: ``group.irrep("T1")`` is the representation by which arrows turn under the rotations of a cube.
# A vector field can be multiplied by a function of its length only, which ``nn.NormActivation`` does.
torch.manual_seed(0)
group = sg.ScaleTranslationGroup(dim=3, num_scales=3, rotations="octahedral")
image, vectors = 1 * group.scalar, 2 * group.irrep("T1")
net = nn.Sequential(
    nn.GroupConv(image, vectors, order=2, sigma=1.2),
    nn.NormActivation(vectors),
    nn.GroupConv(vectors, vectors, order=2, sigma=1.2),
).eval()
print(net)

# %%
# A rotation is written as a signed permutation: (-2, 1, 3) turns by 90° about the third axis. On the grid of the voxels
# it needs no interpolation, so only rounding is left. Scaling errs by what kernels on a grid can hold.
quarter = rotation_error(net, k=(-2, 1, 3))
scaling = sg.check_equivariance(net)
print(f"turned by 90°: {quarter.error:.0e} off")
print(f"    and if the output had not to be turned: {quarter.trivial:.2f}")
print(f"scaled by √2: {scaling.per_scale:.0e} off")
print(f"    and if the output had not to be scaled: {scaling.trivial:.2f}")

# %%
# The kernels from an image to a vector: each component has its own, and they are the same up to a rotation. The first
# component points out of the slices; of its kernel, which is zero in the middle one, a slice beside it is drawn.
figure = visual.plot_kernels(net[0], outputs=range(3), inputs=[0])
figure.savefig("rotate_and_scale.png", dpi=120)

# %%
# Where next: :doc:`/tutorials/09_rotation_and_scale_with_escnn` and :doc:`/results/similarity`.
