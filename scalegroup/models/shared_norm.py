"""Batch norms whose statistics are shared by all grids of Haar sampling."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, fx
from torch.nn.modules.batchnorm import _BatchNorm

from scalegroup.errors import ScaleGroupError

M = TypeVar("M", bound=torch.nn.Module)
Mode = tuple[bool, ...]  # which modules are in training
_PLAIN = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)


class SharedBatchNorm(_BatchNorm):
    """A batch norm that takes a tensor, or the list of tensors that one layer has on all grids.

    On a list, `mean_c` and `var_c` are those of all samples of all grids together, one vote for each sample of each
    grid, as the Haar measure counts them; so are the running statistics, which advance by one step. On one tensor, and
    in eval mode, it is torch's batch norm; names of parameters and buffers are the same.

    Args:
        num_features: channels.
        eps, momentum, affine, track_running_stats, bias, device, dtype: as in `torch.nn.BatchNorm3d`.

    Shape:
        `(batch, channels, *space)`, or a sequence of such tensors with other spaces, to the same.

    Source: `docs/accuracy.md`: statistics over batch, scales and space.

    Example:
        >>> import torch
        >>> norm = SharedBatchNorm(2)
        >>> y = norm([torch.full((1, 2, 4, 4), 5.0), torch.zeros(1, 2, 2, 2)])
        >>> [tuple(part.shape) for part in y], norm.running_mean.tolist()  # 0.1 * 5 * 16 / 20
        ([(1, 2, 4, 4), (1, 2, 2, 2)], [0.4000000059604645, 0.4000000059604645])
    """

    @property
    def needs_all_grids(self) -> bool:
        """Whether it uses the statistics of its input, and not running ones."""
        return self.training or self.running_mean is None

    def forward(self, input: Any) -> Any:
        """One tensor to one, a list to a list."""
        if isinstance(input, Tensor):
            return super().forward(input)
        if not self.needs_all_grids:
            return [_BatchNorm.forward(self, part) for part in input]
        flat = [part.reshape(*part.shape[:2], -1) for part in input]
        y = super().forward(torch.cat(flat, dim=2)).split([part.shape[2] for part in flat], dim=2)
        # Copies: views of one tensor could not be changed in place, as the activation behind may want to.
        parts = [part.reshape(like.shape) for part, like in zip(y, input, strict=True)]
        return [part.clone(memory_format=torch.contiguous_format) for part in parts]

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim < 2:
            hint = "batch norms of any number of axes are one class here"
            raise ScaleGroupError("an input (batch, channels, *space)", tuple(x.shape), hint)


def convert_shared_norm(module: M) -> M:
    """Make every batch norm in a module one that grids can share.

    As with `SyncBatchNorm.convert_sync_batchnorm` the norms change their class and nothing else: weights, running
    statistics, state-dict keys, hooks, and the identity of norms that stand in several places.

    Args:
        module: any module; it is changed in place.

    Returns:
        The module.

    Raises:
        ScaleGroupError: for `SyncBatchNorm` and for batch norms that are not torch's own.

    Example:
        >>> import torch
        >>> convert_shared_norm(torch.nn.Sequential(torch.nn.Conv2d(1, 3, 1), torch.nn.BatchNorm2d(3)))[1]
        SharedBatchNorm(3, ...)
    """
    norms = [norm for norm in module.modules() if isinstance(norm, _BatchNorm) and type(norm) is not SharedBatchNorm]
    for norm in norms:
        if type(norm) not in _PLAIN:
            hint = "statistics are shared by grids, not by processes; use torch.nn.BatchNorm3d or an instance norm"
            raise ScaleGroupError(
                "batch norms of torch.nn that are not synchronised or lazy", type(norm).__name__, hint
            )
    for norm in norms:
        norm.__class__ = SharedBatchNorm
    return module


class GridsTogether:
    """Runs a network on several grids at once, layer by layer, so that its shared norms see all of them.

    The path to the norms is traced by `torch.fx`; a module without norms inside is one step of it and may do what it
    wants. The first run compares the trace with the network itself, on the last grid. Traces are remembered, but
    neither copied nor pickled. `torch.compile` leaves this to Python, as it cannot look into a trace.

    Example:
        >>> import torch
        >>> net = convert_shared_norm(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2)))
        >>> parts = GridsTogether()(net, [torch.randn(1, 1, 8, 8), torch.randn(1, 1, 4, 4)])
        >>> total = sum(float(part.detach().sum()) for part in parts)
        >>> abs(total) < 1e-4  # of mean zero together
        True
    """

    def __init__(self) -> None:
        self._traces: dict[Mode, fx.Graph] = {}
        self._compared: set[Mode] = set()
        # Not a decorator, which would load the compiler at import.
        self._in_python: Callable[..., list[Any]] = torch.compiler.disable(self._on_all)

    def __reduce__(self) -> tuple[Any, ...]:
        return GridsTogether, ()

    def needed(self, module: torch.nn.Module) -> bool:
        """Whether some norm inside uses the statistics of its input now.

        Raises:
            ScaleGroupError: if it is one that the grids cannot share.
        """
        norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
        norms = [norm for norm in norms if norm.training or norm.running_mean is None]
        for norm in norms:
            if not isinstance(norm, SharedBatchNorm):
                hint = "leave sync_batchnorm of Lightning off; plain batch norms go through convert_shared_norm"
                raise ScaleGroupError("batch norms that the grids share", type(norm).__name__, hint)
        return bool(norms)

    def check(self, module: torch.nn.Module, x: Tensor | None = None) -> None:
        """Trace the module as training would, and compare on an input if there is one; the module is not changed.

        Raises:
            ScaleGroupError: if it cannot, or the trace does not do what the module does.
        """
        twin = copy.deepcopy(module).train()
        graph = self.trace(twin)
        if x is None:
            return
        try:
            _compare(graph, twin, x)
        except ScaleGroupError:
            raise
        except Exception:  # the network itself may want a larger input; the first step will tell
            return

    def trace(self, module: torch.nn.Module) -> fx.Graph:
        """The steps of the module in its present mode.

        Raises:
            ScaleGroupError: if `torch.fx` cannot trace the path to the batch norms.
        """
        mode = _mode(module)
        if mode not in self._traces:
            try:
                self._traces[mode] = _Tracer().trace(_Root(copy.deepcopy(module)))  # a forward may change buffers
            except Exception as error:  # whatever a user's forward does with a proxy
                raise _untraceable(module, f"torch.fx says: {error}") from error
        return self._traces[mode]

    def __call__(self, module: torch.nn.Module, grids: Sequence[Tensor]) -> list[Any]:
        """The module's output on each grid.

        Raises:
            ScaleGroupError: if the trace does not do what the module does.
        """
        return self._in_python(module, grids)

    def _on_all(self, module: torch.nn.Module, grids: Sequence[Tensor]) -> list[Any]:
        graph = self.trace(module)
        mode = _mode(module)
        if mode not in self._compared:
            _compare(graph, module, grids[-1].detach())
            self._compared.add(mode)
        return _run(graph, module, grids)


def _mode(module: torch.nn.Module) -> Mode:
    return tuple(part.training for part in module.modules())


class _Root(torch.nn.Module):
    """A network of one argument: what else its `forward` takes keeps its default."""

    def __init__(self, backbone: torch.nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Any:
        return self.backbone(x)


class _Tracer(fx.Tracer):
    """Looks only into modules that contain shared norms."""

    def is_leaf_module(self, m: torch.nn.Module, module_qualified_name: str) -> bool:
        norms = [part for part in m.modules() if isinstance(part, SharedBatchNorm)]
        return not norms or norms == [m]


def _untraceable(module: torch.nn.Module, reason: str) -> ScaleGroupError:
    hint = "use instance or group norms, which need no sharing, or a forward without branches on sizes and values"
    received = f"{type(module).__name__}, of which {reason}"
    return ScaleGroupError("a network in which the way to the batch norms can be traced", received, hint)


def _compare(graph: fx.Graph, module: torch.nn.Module, x: Tensor) -> None:
    """Raise unless the trace is the module: a proxy is no tensor, and a forward that asks may have gone astray."""
    twin, other = _with_frozen_norms(module), _with_frozen_norms(module)
    with torch.no_grad(), torch.random.fork_rng([x.device] if x.is_cuda else []):
        _seed(x.device)
        wanted = twin(x.clone())
        _seed(x.device)
        try:
            (found,) = _run(graph, other, [x.clone()])
            results = [(found, wanted), (dict(other.named_buffers()), dict(twin.named_buffers()))]
            for pair in results:
                torch.testing.assert_close(*pair, rtol=1e-2, atol=1e-3, equal_nan=True, check_stride=False)
        except Exception as error:
            raise _untraceable(module, f"the trace by torch.fx does something else: {error}") from error


def _with_frozen_norms(module: torch.nn.Module) -> torch.nn.Module:
    """A copy for one grid alone, which may be too small for statistics."""
    twin = copy.deepcopy(module)
    for part in twin.modules():
        if isinstance(part, SharedBatchNorm):
            part.eval()
    return twin


def _seed(device: torch.device) -> None:
    generator = torch.cuda.default_generators[device.index] if device.type == "cuda" else torch.default_generator
    generator.manual_seed(0)


def _run(graph: fx.Graph, module: torch.nn.Module, grids: Sequence[Tensor]) -> list[Any]:
    """Each step of the trace on all grids, and the next one."""
    root, last_uses = _Root(module), _last_uses(graph)
    count = len(grids)
    values: dict[fx.Node, list[Any]] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = list(grids)
        elif node.op == "output":
            break
        elif node.op == "get_attr":
            values[node] = [_attribute(root, node.target)] * count
        else:
            values[node] = _step(root, node, values, count)
        for used in last_uses[node]:
            del values[used]
    return [_pick(node.args[0], values, i) for i in range(count)]


def _pick(argument: Any, values: dict[fx.Node, list[Any]], index: int) -> Any:
    """An argument of a step, with the values of one grid in place of the nodes."""
    return fx.node.map_arg(argument, lambda node: values[node][index])


def _step(root: torch.nn.Module, node: fx.Node, values: dict[fx.Node, list[Any]], count: int) -> list[Any]:
    called = root.get_submodule(str(node.target)) if node.op == "call_module" else node.target
    arguments = [(_pick(node.args, values, i), _pick(node.kwargs, values, i)) for i in range(count)]
    if isinstance(called, SharedBatchNorm):
        result: list[Any] = called([(*args, *kwargs.values())[0] for args, kwargs in arguments])
        return result
    if node.op == "call_method":
        return [getattr(args[0], str(called))(*args[1:], **kwargs) for args, kwargs in arguments]
    return [called(*args, **kwargs) for args, kwargs in arguments]  # type: ignore[operator]


def _attribute(root: torch.nn.Module, target: Any) -> Any:
    value: Any = root
    for name in str(target).split("."):
        value = getattr(value, name)
    return value


def _last_uses(graph: fx.Graph) -> dict[fx.Node, list[fx.Node]]:
    """After each step the values that no later step needs."""
    result: dict[fx.Node, list[fx.Node]] = {}
    seen: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        fresh = [used for used in node.all_input_nodes if used not in seen]
        if not node.users and node.op != "output":
            fresh.append(node)
        result[node] = fresh
        seen.update(fresh)
    return result
