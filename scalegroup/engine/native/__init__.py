"""The separable contraction of one scale in C: float32 and float64 on CPUs.

The library is built when scalegroup is installed, if there is a C compiler; where it is not there, `engine.slabs`
does the same work.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import warnings
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from scalegroup.engine.layout import Axes, Layout

WORKSPACE_BYTES = 1 << 26  # of all threads together
_SLAB_BYTES = 1 << 22  # responses to the X functions of a slab, read once for each Y function
_BLOCK_BYTES = 1 << 19  # responses to the pairs of a block, read once for each tile of the mix: half a level-2 cache
_FROM_SYSTEM_BYTES = 1 << 25  # above it glibc returns memory to the system at once
_SLACK = 16  # numbers behind a buffer that the widest register may read

_INTERFACE = 3  # of contract.c

_LONG = ctypes.c_int64
_POINTER = ctypes.c_void_p


class _Shape(ctypes.Structure):
    """`Shape` of contract.c."""

    _fields_ = [
        *((name, _LONG) for name in ("threads", "batch", "in_channels", "out_channels")),
        *((name, _LONG * 3) for name in ("inner", "outer", "functions")),
        *((name, _LONG) for name in ("pairs", "x_batch", "x_channel", "y_batch", "y_channel")),
        *((name, _LONG) for name in ("more", "late", "slices", "rows", "workspace", "weights")),
    ]


class _Tables(ctypes.Structure):
    """`Tables` of contract.c."""

    _fields_ = [("matrix", _POINTER * 3), ("band", _POINTER * 3), ("pair", _POINTER), ("prefix", _POINTER)]


@cache
def library() -> ctypes.CDLL | None:
    """The compiled library, or None where it was not built or does not find the OpenMP functions of torch."""
    spec = find_spec("scalegroup.engine.native._contract")
    if spec is None or spec.origin is None:
        return None
    try:
        found = ctypes.CDLL(spec.origin)
    except OSError:
        return None
    if found.scalegroup_interface() != _INTERFACE:
        text = f"{spec.origin} is of another version of scalegroup and not used; install again: pip install -e ."
        warnings.warn(text, stacklevel=2)
        return None
    return found


def registers() -> int:
    """Bytes of the registers that are used: 64, 32 or 16."""
    found = library()
    return 0 if found is None else int(found.scalegroup_registers())


@cache
def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def in_large_pages(fresh: Tensor) -> Tensor:
    """The same tensor, which has no values yet; Linux is asked to back it by large pages.

    A tensor above glibc's largest threshold comes from the system anew each time, and thousands of page faults cost as
    much as the arithmetic that fills it.
    """
    libc = _libc()
    if libc is not None and fresh.device.type == "cpu" and fresh.nbytes >= _FROM_SYSTEM_BYTES:
        start = -(-fresh.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        length = fresh.data_ptr() + fresh.nbytes - start
        libc.madvise(_POINTER(start), ctypes.c_size_t(length), mmap.MADV_HUGEPAGE)  # an advice: it may be ignored
    return fresh


def contract(x: Tensor, mix: Tensor, axes: Axes, layout: Layout, y: Tensor, more: bool) -> None:
    """As `slabs.contract`, for tensors on the CPU whose volumes are contiguous."""
    x = _with_slack(x)
    shape = _blocks(x, y, axes, layout)
    shape.more = more
    _run(x, y, axes, layout, shape, mix=mix.contiguous())


def weight_gradient(x: Tensor, g: Tensor, axes: Axes, adjoint: Axes, layout: Layout) -> Tensor:
    """As `slabs.weight_gradient`, for tensors on the CPU whose volumes are contiguous."""
    axes = Axes((*axes.matrices[:2], adjoint.matrices[2]), (*axes.bands[:2], adjoint.bands[2]))
    x = _with_slack(x)
    shape = _blocks(x, g, axes, layout, gradient=True)
    grad = x.new_zeros((shape.threads, len(layout.pairs) * x.shape[1], len(layout.prefix), g.shape[1]))
    _run(x, g, axes, layout, shape, grad=grad)
    return grad.sum(0).permute(1, 2, 0)


def _with_slack(x: Tensor) -> Tensor:
    """`x` such that a register may read beyond its end: only where a slice is smaller than a register, it does."""
    if x.shape[3] * x.shape[4] >= _SLACK:
        return x
    return torch.cat([x.flatten(), x.new_zeros(_SLACK)])[: x.numel()].view(x.shape)


def _run(
    x: Tensor,
    y: Tensor,
    axes: Axes,
    layout: Layout,
    shape: _Shape,
    mix: Tensor | None = None,
    grad: Tensor | None = None,
) -> None:
    """One call: the contraction into `y`, or the gradient of the weights for the gradient `y`."""
    (ax, ay, az), (band_x, band_y, band_z) = axes
    z_table = torch.cat([az.transpose(1, 2).reshape(-1), x.new_zeros(_SLACK)])  # Z is applied from the right
    tables = [ax.transpose(0, 1).contiguous(), ay.contiguous(), z_table]
    indices = [torch.tensor(layout.pairs), torch.tensor(layout.prefix)]
    bands = [band.contiguous() for band in (band_x, band_y, band_z)]
    work = x.new_empty((shape.threads, shape.workspace))
    arguments = _Tables(
        (_POINTER * 3)(*(table.data_ptr() for table in tables)),
        (_POINTER * 3)(*(band.data_ptr() for band in bands)),
        *(index.data_ptr() for index in indices),
    )
    pointers = [None if given is None else given.data_ptr() for given in (x, mix, y, work, grad)]
    is_double = _LONG(x.dtype == torch.float64)
    call = library().scalegroup_contract  # type: ignore[union-attr]
    call(_LONG(registers()), is_double, ctypes.byref(shape), ctypes.byref(arguments), *map(_POINTER, pointers))


def _blocks(x: Tensor, y: Tensor, axes: Axes, layout: Layout, gradient: bool = False) -> _Shape:
    """The geometry of a call: how thick the slabs are, how high the blocks, for how many threads there is room."""
    batch, channels, *inner = x.shape
    out_channels, outer = y.shape[1], y.shape[2:]
    functions = [len(matrix) for matrix in axes.matrices]
    first = functions[0] * channels * inner[1] * inner[2]  # responses to the X functions of one slice
    row = len(layout.pairs) * channels * inner[2]  # responses to the pairs of one row
    size = x.element_size()
    slices = 1 if layout.late else max(1, min(4, outer[0], _SLAB_BYTES // (first * size)))
    rows = min(outer[1], max(4, _BLOCK_BYTES // (row * size) // 4 * 4))
    if layout.late:
        block = len(layout.pairs) * out_channels * inner[1] * inner[2] + rows * inner[2]
    else:
        block = rows * (row + (functions[2] * out_channels + 1) * inner[2])  # the gradient needs a row more
    workspace = slices * first + block + _SLACK
    weights = len(layout.prefix) * len(layout.pairs) * channels * out_channels
    room = WORKSPACE_BYTES // ((workspace + (weights if gradient else 0)) * size)
    return _Shape(
        threads=max(1, min(torch.get_num_threads(), room)),
        batch=batch,
        in_channels=channels,
        out_channels=out_channels,
        inner=(_LONG * 3)(*inner),
        outer=(_LONG * 3)(*outer),
        functions=(_LONG * 3)(*functions),
        pairs=len(layout.pairs),
        x_batch=x.stride(0),
        x_channel=x.stride(1),
        y_batch=y.stride(0),
        y_channel=y.stride(1),
        late=layout.late,
        slices=slices,
        rows=rows,
        workspace=workspace,
        weights=weights,
    )
