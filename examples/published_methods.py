"""
Published methods, side by side
===============================

Scale-equivariant networks have been built in many ways. The library has the published ones as short compositions of the
same parts, exchangeable by name. Here five of them beside a plain network and ours: how much two convolutions err, and
how long they take. They are our own versions, made after the papers.
"""

from __future__ import annotations

import time

import torch
from rich import print
from rich.progress import track

import scalegroup as sg
from scalegroup import visual
from scalegroup.testing import equivariance_error

PUBLISHED = ("xu2014", "sosnovik2019", "bekkers2019", "sosnovik2021", "wimmer2022")
NAMES, ROUNDS = ("plain", *PUBLISHED, "ours"), 9


# %%
# A method brings its own lifting layer, its own convolution and its own scales.
def build(name: str) -> tuple[torch.nn.Module, float]:
    """A lifting layer and a convolution, and their error under one step of their base."""
    torch.manual_seed(0)
    layers = sg.methods.get(name).parts(dim=2)
    net = torch.nn.Sequential(layers.lift(1, 4), layers.conv(4, 4)).eval()
    types = {"in_type": 1 * layers.group.scalar, "out_type": layers.field(4)}
    return net, equivariance_error(net, scale=layers.group.base, **types).error


built = {name: build(name) for name in track(NAMES, "measuring errors", transient=True)}

# %%
# For the times they take turns on one core, and the fastest run counts: what else the computer does only adds to it.
torch.set_num_threads(1)
x = torch.randn(4, 1, 96, 96)
times: dict[str, list[float]] = {name: [] for name in NAMES}
with torch.no_grad():
    for _ in track(range(ROUNDS), "measuring times", transient=True):
        for name, (net, _) in built.items():
            start = time.process_time()
            net(x)
            times[name].append(time.process_time() - start)

# %%
# Lower is more exact, left is faster. Two layers without activations; for whole networks, weights and accuracy see
# :doc:`/results/methods`.
points = []
for name, (_, error) in built.items():
    method, ratio = sg.methods.get(name), min(times[name]) / min(times["plain"])
    words = f"{method.title:<27} {method.kind:<17}"
    print(f"{words} error {100 * error:8.2g} %   time {ratio:4.1f}")
    points.append(visual.MethodPoint(method.title, method.kind, ratio, error))
names = "two convolutions in 2-D", "relative error under one step of the base"
figure = visual.plot_methods({names: points})
figure.savefig("published_methods.png", dpi=150)

# %%
# Where next: :doc:`/howto/methods` and :doc:`/results/comparison`.
