"""What every layer on point clouds keeps: a class of pytest tests to inherit, with one method to write."""

from __future__ import annotations

import copy
import math
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing.errors import truncation_reach
from scalegroup.testing.experiment import group_of
from scalegroup.testing.point_errors import (
    Cloud,
    Growing,
    PointErrors,
    Sized,
    call,
    channels_of,
    largest_error,
    point_error,
)


class PointLayerContract(ABC):
    """The tests of an equivariant layer on point clouds, to inherit: `LayerContract` for `layer(x, pos, batch)`.

    Between points nothing is interpolated, so that the layer must transform exactly, up to rounding; the same
    measurements must fail where nothing is done to the output. Class attributes change what is tested:

    Attributes:
        dims: dimensions of space; most tests use the last. Default 1, 2, 3.
        windows: pairs of base and number of scales. Default (2, 3) and (√2, 4).
        rotations: name of the group's rotations, which must act on all of `dims`. Default None.
        rounding: allowed error in float64. Default 1e-12.
        rounding32: allowed error in float32. Default 1e-5.
        any_factor: whether any factor leaves the output as it is, as of scales relative to the cloud. Default False.
        per_point: whether the output lies at the points of the input, in their order. Default True.

    What cannot be tested: `torch.compile(fullgraph=True)` and `torch.export`, because what neighbours there are depends
    on the numbers in the positions; compiled networks call these layers between their graphs.

    Example:
        >>> class TestConv(PointLayerContract):
        ...     def make_layer(self, field):
        ...         return nn.PointGroupConv(field, field, order=1, sigma=0.5)
        >>> TestConv().test_scales()
    """

    dims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    windows: ClassVar[tuple[tuple[float, int], ...]] = ((2.0, 3), (2**0.5, 4))
    rotations: ClassVar[str | None] = None
    rounding: ClassVar[float] = 1e-12
    rounding32: ClassVar[float] = 1e-5
    any_factor: ClassVar[bool] = False
    per_point: ClassVar[bool] = True

    @abstractmethod
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        """The layer to test, for an input of this type; about 30 points with a spacing of 0.3 are the input."""

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        """The type of the input: two regular fields, or with rotations a regular field and the last irrep."""
        field: FieldType = 2 * group.regular
        return field if self.rotations is None else 1 * group.regular + 1 * group.irrep(group.rotations.irreps[-1])

    def run_layer(self, layer: torch.nn.Module, x: Tensor, pos: Tensor, batch: Tensor) -> Tensor:
        """The features that the layer returns; override it for layers with other arguments."""
        return call(layer, x, pos, batch)

    # Equivariance

    def test_scales(self) -> None:
        for layer in self._layers():
            self._check(layer, self.rounding, "the base", s=self._group_of(layer).base)

    def test_scales_in_float32(self) -> None:
        for layer in self._layers():
            self._check(layer.float(), self.rounding32, "the base, in float32", s=self._group_of(layer).base)

    def test_the_measurement_can_fail(self) -> None:
        for layer in self._layers():
            errors = self._errors(Sized(layer) if self.any_factor else Growing(layer), s=self._group_of(layer).base)
            _require(errors.error > 0.01, f"a gain that grows with the scale is an error ({errors.error:.1e})", layer)
            if not self.any_factor:
                idle = errors.trivial
                _require(idle > 0.01, f"doing nothing to the output is an error ({idle:.1e})", layer)

    def test_any_factor(self) -> None:
        if not self.any_factor:
            return
        layer, cloud = self._case()
        larger = self._run(layer, cloud._replace(pos=1.37 * cloud.pos))
        _close(larger, self._run(layer, cloud), self.rounding, "any factor leaves the output as it is", layer)

    def test_translations(self) -> None:
        layer, cloud = self._case()
        shift = torch.linspace(1, 2, cloud.pos.shape[1], dtype=torch.float64)
        moved = self._run(layer, cloud._replace(pos=cloud.pos + shift))
        _close(moved, self._run(layer, cloud), self.rounding, "a translation leaves the features as they are", layer)

    def test_rotations(self) -> None:
        if self.rotations is None:
            return
        layer = self._layer()
        for k in self._group_of(layer).rotations.generators:
            idle = self._check(layer, self.rounding, f"the rotation {k.matrix.round(3).tolist()}", k=k.value).trivial
            _require(idle > 0.01, f"doing nothing to the output is an error ({idle:.1e})", layer)

    def test_permutations(self) -> None:
        layer, cloud = self._case()
        order = torch.randperm(len(cloud.x), generator=torch.Generator().manual_seed(2))
        y, other = self._run(layer, cloud), self._run(layer, Cloud(*(part[order] for part in cloud)))
        _close(other, y[order] if self.per_point else y, self.rounding, "the order of the points is irrelevant", layer)

    def test_clouds_do_not_see_each_other(self) -> None:
        layer, cloud = self._case()
        near = cloud._replace(pos=cloud.pos + 0.1 * cloud.batch[:, None])
        both = self._run(layer, near)
        for number in (0, 1):
            own = cloud.batch == number
            alone = self._run(layer, Cloud(cloud.x[own], cloud.pos[own], cloud.batch[own] * 0))
            here = both[own] if self.per_point else self._own(both, len(alone), number)
            _close(alone, here, self.rounding, "a cloud alone gives what it gives in a batch", layer)

    # Numbers

    def test_dtypes(self) -> None:
        layer, cloud = self._case()
        exact = self._run(layer, cloud)
        y = self._run(copy.deepcopy(layer).float(), Cloud(cloud.x.float(), cloud.pos.float(), cloud.batch))
        _require(y.dtype == torch.float32, f"float32 gives float32, not {y.dtype}", layer)
        _close(y.double(), exact, self.rounding32, "float32 is accurate", layer)
        _require(not torch.equal(exact.float().double(), exact), "float64 is computed in float64", layer)

    def test_autocast(self) -> None:
        layer, cloud = self._case()
        exact = self._run(layer, cloud)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self._run(layer.float(), cloud._replace(x=cloud.x.float(), pos=cloud.pos.float()))
        _close(y.double(), exact, 0.05, "autocast to bfloat16 is accurate", layer)

    def test_gradients(self) -> None:
        layer, cloud = self._case()
        names = [name for name, p in layer.named_parameters() if p.requires_grad]

        def function(x: Tensor, *values: Tensor) -> Tensor:
            parameters = dict(zip(names, values, strict=True))

            class Call(torch.nn.Module):
                def forward(self, *arguments: Any, **options: Any) -> Any:
                    return torch.func.functional_call(layer, parameters, arguments, options)

            return self.run_layer(Call(), x, cloud.pos, cloud.batch)

        values = [layer.get_parameter(name).detach().clone().requires_grad_() for name in names]
        try:
            torch.autograd.gradcheck(function, (cloud.x.clone().requires_grad_(), *values), fast_mode=True)
        except GradcheckError as error:
            raise AssertionError(f"the gradients of {layer} are wrong: {error}") from None

    def test_every_parameter_gets_a_gradient(self) -> None:
        layer, cloud = self._case()
        if not any(p.requires_grad for p in layer.parameters()):
            return
        y = self.run_layer(layer.train(), *cloud)
        (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).cos().view_as(y)).sum().backward()
        for name, parameter in layer.named_parameters():
            used = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
            _require(used or not parameter.requires_grad, f"the parameter {name!r} gets a gradient", layer)

    # Life of a module

    def test_deepcopy_and_pickle(self) -> None:
        layer, cloud = self._case()
        for law, twin in {"deepcopy": copy.deepcopy(layer), "pickle": pickle.loads(pickle.dumps(layer))}.items():
            same = torch.equal(self._run(twin, cloud), self._run(layer, cloud))
            _require(same, f"{law} gives the same function", layer)
            _require(repr(twin) == repr(layer), f"{law} gives the same repr", layer, repr(twin))

    def test_frozen(self) -> None:
        layer, cloud = self._case()
        frozen = nn.freeze(layer)
        keys = [list(part.state_dict()) for part in (layer.eval(), copy.deepcopy(layer).train(), frozen)]
        _require(keys[0] == keys[1] == keys[2], "train, eval and frozen have one state dict", layer, keys)
        _close(self._run(frozen, cloud), self._run(layer, cloud), 1e-12, "frozen is the same function", layer)

    def test_repr_says_the_types(self) -> None:
        layer = self._layer()
        for kind in self._types(layer):
            _require(str(kind) in repr(layer), f"repr contains the type {kind}", layer)

    def test_weights_fit_every_window(self) -> None:
        base, count = self.windows[0]
        narrow = self._layer()
        wide = self._made(self.make_field(ScaleTranslationGroup(self.dims[-1], base, count + 1, self.rotations)))
        try:
            wide.load_state_dict(narrow.state_dict())
        except RuntimeError as error:
            raise AssertionError(f"the weights of {narrow} do not fit one scale more: {error}") from None
        if not math.isfinite(getattr(narrow, "declared_error", math.inf)):
            return  # it looks at the whole window
        few_out, (many_in, many_out) = self._types(narrow)[1], self._types(wide)
        cloud = Cloud.random(many_in)
        kept = torch.from_numpy(np.flatnonzero(channels_of(many_in, range(count))))
        few = self._run(narrow, cloud._replace(x=cloud.x[:, kept]))
        last = group_of(few_out).num_scales - truncation_reach(narrow)[1]
        inner = [channels_of(kind, range(last)) for kind in (few_out, many_out)]
        many = self._run(wide, cloud)
        _close(few[:, inner[0]], many[:, inner[1]], 1e-9, "a wider window changes nothing in the others", narrow)

    def test_no_points_and_one(self) -> None:
        layer, cloud = self._case()
        none = self._run(layer, Cloud(*(part[:0] for part in cloud)))
        _require(len(none) == 0, f"no points give no output, not {len(none)} rows", layer)
        one = self._run(layer, Cloud(cloud.x[:1], cloud.pos[:1], cloud.batch[:1] * 0))
        _require(bool(one.isfinite().all()), "a single point gives finite numbers", layer)

    def test_bad_inputs_are_refused(self) -> None:
        layer, (x, pos, batch) = self._case()
        cases: dict[str, Callable[[], object]] = {
            "a channel too many": lambda: self.run_layer(layer, torch.cat([x, x[:, :1]], 1), pos, batch),
            "an axis too few": lambda: self.run_layer(layer, x[:, 0], pos, batch),
            "integers": lambda: self.run_layer(layer, x.long(), pos, batch),
            "no tensor": lambda: self.run_layer(layer, x.tolist(), pos, batch),  # type: ignore[arg-type]
        }
        if next(layer.parameters(), None) is not None:
            cases["another dtype than its parameters'"] = lambda: self.run_layer(layer, x.float(), pos, batch)
        if isinstance(layer, nn.PointModule):
            lost, far = pos.clone(), pos.clone()
            lost[0, 0], far[0, 0] = math.nan, math.inf
            cases |= {
                "a row too many": lambda: self.run_layer(layer, torch.cat([x, x[:1]]), pos, batch),
                "positions that are NaN": lambda: self.run_layer(layer, x, lost, batch),
                "positions that are infinite": lambda: self.run_layer(layer, x, far, batch),
                "integer positions": lambda: self.run_layer(layer, x, pos.long(), batch),
                "another dim": lambda: self.run_layer(layer, x, pos[:, :-1], batch),
                "positions with a gradient": lambda: self.run_layer(layer, x, pos.clone().requires_grad_(), batch),
                "a batch vector too short": lambda: self.run_layer(layer, x, pos, batch[:-1]),
                "a batch vector of floats": lambda: self.run_layer(layer, x, pos, batch.double()),
                "a negative cloud": lambda: self.run_layer(layer, x, pos, batch - 1),
            }
        for case, attempt in cases.items():
            try:
                attempt()
            except ScaleGroupError:
                continue
            except Exception as error:
                raise AssertionError(
                    f"{case} must raise ScaleGroupError, not {type(error).__name__}: {error}"
                ) from error
            raise AssertionError(f"{case} must raise ScaleGroupError; {layer} said nothing")

    def run(self) -> None:
        """Run all tests of the contract, outside pytest; the first that fails raises `AssertionError`."""
        names = {name: None for cls in reversed(type(self).__mro__) for name in vars(cls)}  # as written
        for name in filter(lambda name: name.startswith("test_"), names):
            getattr(self, name)()

    # What the tests are run on

    def _layers(self) -> Iterator[torch.nn.Module]:
        for dim in self.dims:
            for base, count in self.windows:
                yield self._made(self.make_field(ScaleTranslationGroup(dim, base, count, self.rotations)))

    def _layer(self) -> torch.nn.Module:
        base, count = self.windows[0]
        return self._made(self.make_field(ScaleTranslationGroup(self.dims[-1], base, count, self.rotations)))

    @staticmethod
    def _types(layer: Any) -> tuple[FieldType, FieldType]:
        return layer.in_type, layer.out_type

    def _group_of(self, layer: torch.nn.Module) -> ScaleTranslationGroup:
        return group_of(self._types(layer)[0])

    def _case(self) -> tuple[torch.nn.Module, Cloud]:
        layer = self._layer()
        return layer, Cloud.random(self._types(layer)[0])

    def _made(self, field: FieldType) -> torch.nn.Module:
        """The layer in float64 and eval mode, with parameters and running statistics unlike the initial ones."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            layer = self.make_layer(field).double()
            for parameter in layer.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            self.run_layer(layer.train(), *Cloud.random(self._types(layer)[0]))
        return layer.eval()

    def _run(self, layer: torch.nn.Module, cloud: Cloud) -> Tensor:
        with torch.no_grad():
            return self.run_layer(layer, *cloud)

    @staticmethod
    def _own(y: Tensor, count: int, number: int) -> Tensor:
        """The rows of a cloud where the output lies elsewhere: cloud by cloud."""
        return y[:count] if number == 0 else y[-count:]

    def _check(self, layer: torch.nn.Module, bound: float, name: str, **element: Any) -> PointErrors:
        """Check that the layer commutes with an element of the group."""
        errors = self._errors(layer, torch.float32 if bound == self.rounding32 else torch.float64, **element)
        text = f"the layer commutes with {name} (error {errors.error:.1e}, allowed {bound:.0e})"
        _require(errors.error <= bound, text, layer)
        return errors

    def _errors(self, layer: torch.nn.Module, dtype: torch.dtype = torch.float64, **element: Any) -> PointErrors:
        return point_error(layer, run=self.run_layer, dtype=dtype, relative=self.any_factor, **element)


def _require(holds: bool, law: str, layer: object, detail: object = None) -> None:
    if not holds:
        raise AssertionError(f"not true: {law}; for {layer}" + ("" if detail is None else f"; {detail}"))


def _close(value: Tensor, wanted: Tensor, tolerance: float, law: str, layer: object) -> None:
    error = largest_error(value, wanted)
    _require(error <= tolerance, f"{law} (error {error:.1e}, allowed {tolerance:.0e})", layer)
