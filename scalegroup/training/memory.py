"""Too little memory is said before the work begins, not hours later or by a kill."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.seed import isolate_rng

from scalegroup.errors import ScaleGroupError
from scalegroup.nn.estimate import kept_for_backward

PROBE = 24  # voxels per axis of the volume from which larger ones are judged: a fraction of a second
DRAWS = 6  # steps of a probe, because networks that draw a run of scales need more for some than for others
EASILY = 20  # with so many times the memory of the first step no other has to be looked at
BORDER = 1.2  # how much more a voxel of a small volume may need than one of a large volume, for what is padded
CGROUP = Path("/sys/fs/cgroup")


class EnoughMemory(Callback):
    """Refuses work that cannot fit into memory, before it begins.

    On a GPU one real step is made with the largest batch that can come. On the CPU, where the system would rather kill
    the process than refuse memory, a small volume tells what the backward pass has to keep per voxel; that is less than
    all that is needed, so the alarm is never a false one. Before a scan is predicted, its largest layer counts in the
    same way. Neither weights nor statistics nor random states are touched.

    Args:
        shape: the largest batch, `(batch, channel, *space)`; default None: nothing will be trained.
        spacing: a voxel size in mm, for networks that want to know it.

    Raises:
        ScaleGroupError: if the memory will not suffice.
    """

    def __init__(self, shape: Sequence[int] | None = None, spacing: Sequence[float] | None = None) -> None:
        self.shape = None if shape is None else tuple(shape)
        self.spacing = None if spacing is None else torch.tensor([list(spacing)])
        self._per_voxel: float | None = None

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Judges the largest batch."""
        if self.shape is None:
            return
        device, context = pl_module.device, trainer.precision_plugin.forward_context
        if device.type == "cuda":
            try:
                _step(pl_module, self.shape, self.spacing, context())
            except torch.OutOfMemoryError as error:
                raise _too_little(self.shape, None, device) from error
            finally:
                torch.cuda.empty_cache()
            return
        free = available_memory(device)
        if free is None:
            return
        small = _probe_of(pl_module, self.shape)
        needed = 0.0
        for _ in range(DRAWS):
            kept = _step(pl_module, small, self.spacing, context())
            needed = max(needed, kept * prod(self.shape) / prod(small) / BORDER)
            if EASILY * needed < free:
                return
        if needed > free:
            raise _too_little(self.shape, needed, device, free)

    def on_predict_batch_start(self, trainer: lightning.Trainer, pl_module: Any, batch: Any, *_: Any) -> None:
        """Judges one scan, or one window of it."""
        shape = pl_module.window(batch["image"].shape)
        free = available_memory(pl_module.device)
        if free is None:
            return
        if self._per_voxel is None:
            small = _probe_of(pl_module, shape)
            self._per_voxel = _largest_layer(pl_module, small, batch["spacing"]) / prod(small) / BORDER
        needed = self._per_voxel * prod(shape)
        if needed > free:
            raise _too_little(shape, needed, pl_module.device, free)


def available_memory(device: torch.device) -> int | None:
    """The bytes that can be had without swapping; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    table = Path("/proc/meminfo")
    if not table.is_file():
        return None
    lines = dict(line.split(":", 1) for line in table.read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = CGROUP / "memory.max", CGROUP / "memory.stat"
    if limit.is_file() and used.is_file() and (most := limit.read_text().strip()).isdigit():
        # Of a container's own limit; what only caches files would be given back.
        kept = dict(line.split() for line in used.read_text().splitlines())
        free = min(free, int(most) - int(kept["anon"]))
    return free


def _probe_of(module: Any, shape: Sequence[int]) -> tuple[int, ...]:
    """A batch of one small volume on which the network runs."""
    multiple = prod(module.model_config.strides)
    return (1, shape[1], *(min(n, -(-PROBE // multiple) * multiple) for n in shape[2:]))


def _step(module: Any, shape: Sequence[int], spacing: torch.Tensor | None, context: Any) -> int:
    """The bytes that one forward pass keeps for its backward pass, which is run too."""
    with isolate_rng(), context, torch.enable_grad():
        twin = copy.deepcopy(module.network)
        image = torch.zeros(tuple(shape), device=module.device)
        with kept_for_backward() as kept:
            loss = twin.train()(image, **module.told(spacing)).softmax(dim=1).square().mean()
        size = sum(storage.nbytes() for storage in kept.values())
        kept.clear()
        loss.backward()
    return size


def _largest_layer(module: Any, shape: Sequence[int], spacing: torch.Tensor) -> int:
    """The most bytes that the output of one part of the network takes."""
    sizes = [0]

    def note(part: torch.nn.Module, inputs: Any, output: Any) -> None:
        tensors = output if isinstance(output, tuple) else (output,)
        sizes.append(sum(item.nbytes for item in tensors if isinstance(item, torch.Tensor)))

    with isolate_rng(), torch.no_grad():
        twin = copy.deepcopy(module.network)
        for part in twin.modules():
            part.register_forward_hook(note)
        twin.eval()(torch.zeros(tuple(shape), device=module.device), **module.told(spacing))
    return max(sizes)


def _too_little(
    shape: Sequence[int], needed: float | None, device: torch.device, free: int | None = None
) -> ScaleGroupError:
    size = "" if needed is None else f", at least {needed / 2**30:.1f} GiB"
    have = f"too little on {device}" if free is None else f"{free / 2**30:.1f} GiB on {device}"
    hint = "take a smaller --trainer.patch or --trainer.batch_size, or fewer channels"
    return ScaleGroupError(f"free memory for a batch of shape {tuple(shape)}{size}", have, hint)
