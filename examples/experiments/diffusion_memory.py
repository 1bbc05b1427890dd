"""Memory and time of one forward pass and one training step of `models.DiffusionUNet` on a whole series."""

from __future__ import annotations

import multiprocessing
import platform
import time
from pathlib import Path

import torch

import scalegroup as sg
from scalegroup.data.diffusion_phantom import half_sphere

WHOLE = ((64, 64, 20), 17)


def write_memory(folder: Path, quick: bool) -> Path:
    """Both measurements, each in a process of its own, as a page of the documentation."""
    (space, samples) = ((8, 8, 6), 7) if quick else WHOLE
    context = multiprocessing.get_context("spawn")
    lines = []
    for name, training in (("forward pass", False), ("training step", True)):
        with context.Pool(1, maxtasksperchild=1) as pool:
            bytes_, seconds = pool.apply(measured, (space, samples, training))
        lines.append(f"| {name} | {bytes_ / 2**20:,.0f} MiB | {seconds:.1f} s |")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "diffusion_memory.md"
    path.write_text(f"""# Memory of six dimensions

Command: `python examples/experiments/diffusion.py --part memory`. \
`models.DiffusionUNet()` on {"×".join(map(str, space))} voxels
and {samples} samples (b=0 and {samples - 1} directions), float32, one thread; torch {torch.__version__},
{platform.machine()}. Memory is what the process grows by at its peak, above weights and input.

| | memory | time of one core |
|---|---|---|
{chr(10).join(lines)}
""")
    return path


def measured(space: tuple[int, ...], samples: int, training: bool) -> tuple[int, float]:
    """Bytes by which the process grows at its peak, and seconds of one core, whatever else it does meanwhile."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    vectors = torch.from_numpy(half_sphere(samples - 1)).float()
    q = torch.cat([torch.zeros(1, 3), vectors])
    net = sg.models.DiffusionUNet().train(training)

    def run(x: torch.Tensor) -> None:
        with torch.set_grad_enabled(training):
            out = net(x, q)
            if training:
                out.square().mean().backward()

    run(torch.rand(1, samples, 8, 8, 8))  # what torch loads and caches at first
    x = torch.rand(1, samples, *space)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, start = _account("VmRSS"), time.process_time()
    run(x)
    return _account("VmHWM") - before, time.process_time() - start


def _account(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])
