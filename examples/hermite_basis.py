"""
The basis functions of a kernel
===============================

Kernels are sums of products of three one-dimensional functions, Hermite polynomials times a Gaussian:
``h_i(x) h_j(y) h_k(z)``. The network learns how much of each goes into the sum. Products make wide kernels cheap,
because each axis is applied by itself. They are known as formulas, which SymPy derives.
"""

from __future__ import annotations

from rich import print

import scalegroup as sg
from scalegroup import visual

# %%
# All products whose degrees add up to 2 at most. The three degrees may be equal or different: (1, 1, 0) changes
# its sign across two axes, (2, 0, 0) is a ridge across one.
basis = sg.HermiteBasis(order=2, dim=3)
print(f"A basis of order {basis.order} has {len(basis)} functions, of the degrees")
print(", ".join(map(str, basis.products)))

# %%
# Surfaces on which each function is a tenth of its largest value: red above zero, blue below.
title = "Hermite-Gaussians of total degree up to 2"
figure = visual.plot_basis(basis, view="isosurfaces", title=title)
figure.savefig("hermite_basis.png", dpi=120)

# %%
# Where next: :doc:`/tutorials/02_hermite_kernels` and :doc:`/tutorials/06_own_group_and_basis`.
