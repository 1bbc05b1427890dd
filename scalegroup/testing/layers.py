"""What every layer keeps: a class of pytest tests to inherit, with one method to write."""

from __future__ import annotations

import copy
import io
import math
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from scalegroup import nn
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.fields import FieldType
from scalegroup.groups import CompactGroup, ScaleTranslationGroup, SignedPermutations
from scalegroup.nn.module import Samples, each, grids
from scalegroup.testing.errors import EquivarianceErrors, equivariance_error, relative_error, truncation_reach
from scalegroup.testing.experiment import Protocol, group_of
from scalegroup.testing.inputs import Blobs
from scalegroup.testing.places import input_places, output_places, product_of_strides, sampled, spacing_of
from scalegroup.testing.rotations import rotation_error
from scalegroup.testing.samples import by_scale, flat, noise, to_dtype
from scalegroup.testing.sampling import at_positions
from scalegroup.testing.twins import Smeared, Tilted


class LayerContract(ABC):
    """The tests of an equivariant layer, to inherit: it transforms as it says, and works wherever torch works.

    Equivariance is measured on the lattice (`equivariance_error`) and must stay below the layer's `declared_error`;
    the same measurement must fail without acting on the output, and for the layer followed by a plain 3-tap
    convolution (or by a gain that grows with the scale, where each scale has a grid of its own and plain convolutions
    are equivariant). Class attributes change what is tested:

    Attributes:
        dims: dimensions of space; the cheap tests use the first, compile and export the last. Default 1, 2, 3.
        windows: pairs of base and number of scales. Default (2, 3) and (√2, 4).
        sampling: of the group: "uniform" (default), or "haar" for fields with a grid for each scale.
        dtypes: dtypes that the layer runs in, next to autocast. Default float32 and float64.
        protocol: "lattice"; or "torus", for layers that look at the whole volume.
        size: voxels per axis of the smaller input of that measurement; `None` for the protocol's default.
        tolerance: replaces `declared_error`; needed where that is infinite.
        rounding: is added to either. Default 1e-6.
        inside: use inputs that stay inside the window of scales, for layers that look at all scales.
        translates: whether the layer commutes with translations by whole samples of all grids. Default True.
        rotations: name of the group's rotations, symmetries of the grid such as "octahedral" or "c4"; default None.
            `dims` count that it acts on. The layer must commute with them up to rounding.
        compile_backend: "aot_eager" traces and differentiates without a C++ compiler; "inductor" generates code.

    Example:
        >>> import scalegroup as sg
        >>> class TestBlur(LayerContract):
        ...     def make_layer(self, field):
        ...         return sg.nn.ScaleBlurPool(field)
        >>> TestBlur().test_equivariance()
    """

    dims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    windows: ClassVar[tuple[tuple[float, int], ...]] = ((2.0, 3), (2**0.5, 4))
    sampling: ClassVar[str] = "uniform"
    dtypes: ClassVar[tuple[torch.dtype, ...]] = (torch.float32, torch.float64)
    protocol: ClassVar[Protocol] = "lattice"
    size: ClassVar[int | None] = None
    tolerance: ClassVar[float | None] = None
    rounding: ClassVar[float] = 1e-6
    inside: ClassVar[bool] = False
    translates: ClassVar[bool] = True
    rotations: ClassVar[str | None] = None
    compile_backend: ClassVar[str] = "aot_eager"

    @abstractmethod
    def make_layer(self, field: FieldType) -> torch.nn.Module:
        """The layer to test, for an input of this type."""

    def make_field(self, group: ScaleTranslationGroup) -> FieldType:
        """The type of the input: two regular fields, or with rotations a regular field and the last irrep."""
        field: FieldType = 2 * group.regular
        return field if self.rotations is None else 1 * group.regular + 1 * group.irrep(group.rotations.irreps[-1])

    # Equivariance

    def test_equivariance(self) -> None:
        for layer in self._layers():
            result, bound = self._measure(layer), self._bound(layer)
            _require(
                result.error <= bound + 3 * result.floor,
                f"the equivariance error {result.error:.2e} is within the bound {bound:.2e}",
                layer,
                f"scale channels {_short(result.channels)}, beyond the window {result.truncated}, "
                f"scalars {result.scalar:.2e} under the factor {result.factor:g}",
            )

    def test_the_measurement_can_fail(self) -> None:
        for layer in map(self._layer, self._spaces[:2]):
            bound = self._bound(layer)
            idle = self._measure(layer).trivial
            _require(idle > 10 * bound, f"doing nothing to the output is an error ({idle:.2e})", layer)
            broken = self._measure(Smeared(layer)).error
            _require(
                broken > 2 * bound, f"a layer that does not know the scale behind it is an error ({broken:.2e})", layer
            )

    def test_translations(self) -> None:
        if not self.translates:
            return
        layer, group = self._layer(self._spaces[0]), self._group(self._spaces[0])
        in_type, out_type = self._types(layer)
        size = {1: 97, 2: 49, 3: 33}[group.dim]
        half = (size - 1) / 2
        blobs = Blobs.random(in_type, radius=0.2 * half)
        places = input_places(in_type, size, product_of_strides(layer))
        with torch.no_grad():
            y = grids(layer(sampled(blobs, places)))
            shapes = [part.shape[2:] for part in y]
            axes = output_places(size, places, in_type, shapes, out_type)
            coarsest = max(spacing_of(axis) for grid in places + axes for axis in grid)
            steps = [3 * math.ceil(coarsest)] * group.dim  # whole samples of all grids
            moved = grids(layer(sampled(blobs.act(group_of(in_type).element(t=steps)), places)))
        errors = []
        for before, after, grid in zip(y, moved, axes, strict=True):
            points = [p[abs(p) <= 0.4 * half] for p in grid]
            there = at_positions(after, grid, [p + step for p, step in zip(points, steps, strict=True)], None)
            errors.append(relative_error(there, at_positions(before, grid, points, None)))
        worst = max(errors)
        _require(worst <= 1e-3 + self.rounding, f"the layer commutes with translations ({worst:.2e})", layer)

    def test_rotations(self) -> None:
        if self.rotations is None:
            return
        layer = self._layer(self._spaces[0])
        in_type, out_type = self._types(layer)
        for k in group_of(in_type).rotations.generators:
            result, broken = (
                rotation_error(part, k, in_type=in_type, out_type=out_type) for part in (layer, Tilted(layer))
            )
            turn = k.matrix.tolist()
            _require(result.error <= 1e-12, f"the layer commutes with {turn} (error {result.error:.2e})", layer)
            _require(result.trivial > 0.1, f"doing nothing to the output is an error ({result.trivial:.2e})", layer)
            worst = max(error for block in broken.blocks for error in block)
            _require(worst > 0.01, f"a gain that tells the axes apart is an error ({worst:.2e})", layer, turn)

    # Numbers

    def test_dtypes(self) -> None:
        layer, x = self._case()
        exact = layer(x)
        for dtype in self.dtypes:
            y = copy.deepcopy(layer).to(dtype)(to_dtype(x, dtype))
            found = next((part.dtype for part in grids(y) if part.dtype != dtype), dtype)
            _require(found == dtype, f"input of {dtype} gives output of {dtype}, not {found}", layer)
            _close(to_dtype(y, torch.float64), exact, 100 * torch.finfo(dtype).eps, f"{dtype} is accurate", layer)
        rounded = to_dtype(to_dtype(exact, torch.float32), torch.float64)
        _require(not torch.equal(flat(exact), flat(rounded)), "float64 is computed in float64, not in float32", layer)

    def test_autocast(self) -> None:
        layer, x = self._case()
        exact = layer(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer.float()(to_dtype(x, torch.float32))
        _close(to_dtype(y, torch.float64), exact, 0.05, "autocast to bfloat16 is accurate", layer)

    def test_gradients(self) -> None:
        layer = self._layer(self._spaces[0])
        names = [name for name, p in layer.named_parameters() if p.requires_grad]
        x = self._noise(layer, self._spaces[0], size=5)
        parts = [part.requires_grad_() for part in grids(x)]

        def function(*values: Tensor) -> Samples:
            field = values[0] if isinstance(x, Tensor) else values[: len(parts)]
            parameters = dict(zip(names, values[len(parts) :], strict=True))
            result: Samples = torch.func.functional_call(layer, parameters, (field,))
            return result

        values = [layer.get_parameter(name).detach().clone().requires_grad_() for name in names]
        try:
            torch.autograd.gradcheck(function, (*parts, *values), fast_mode=True)
        except GradcheckError as error:
            raise AssertionError(f"the gradients of {layer} are wrong: {error}") from None

    def test_every_parameter_gets_a_gradient(self) -> None:
        layer, x = self._case()
        if not any(p.requires_grad for p in layer.parameters()):
            return
        y = flat(layer.train()(x))
        (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).cos()).sum().backward()
        for name, parameter in layer.named_parameters():
            if parameter.requires_grad:
                used = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
                _require(used, f"the parameter {name!r} gets a gradient", layer)

    # Life of a module

    def test_deepcopy_and_pickle(self) -> None:
        layer, x = self._case()
        for law, twin in {"deepcopy": copy.deepcopy(layer), "pickle": pickle.loads(pickle.dumps(layer))}.items():
            _require(torch.equal(flat(twin(x)), flat(layer(x))), f"{law} gives the same function", layer)
            _require(repr(twin) == repr(layer), f"{law} gives the same repr", layer, repr(twin))

    def test_frozen(self) -> None:
        layer, x = self._case()
        frozen = nn.freeze(layer)
        keys = {"eval": list(layer.eval().state_dict()), "train": list(layer.train().state_dict())}
        keys["frozen"] = list(frozen.state_dict())
        _require(len(set(map(tuple, keys.values()))) == 1, "train, eval and frozen have one state dict", layer, keys)
        _close(frozen(x), layer.eval()(x), 1e-9, "the frozen layer is the same function", layer)
        frozen.load_state_dict(layer.state_dict())

    def test_compile(self) -> None:
        layer, x = self._case(self._spaces[-1])
        torch._dynamo.reset()
        compiled = torch.compile(layer, fullgraph=True, backend=self.compile_backend)
        inputs = [each(lambda part: part.clone().requires_grad_(), x) for _ in range(2)]
        results = compiled(inputs[0]), layer(inputs[1])
        _close(results[0], results[1], 1e-9, "the compiled layer is the same function", layer)
        for y in results:
            flat(y).square().sum().backward()
        slopes = [each(lambda part: torch.zeros_like(part) if part.grad is None else part.grad, x) for x in inputs]
        _close(slopes[0], slopes[1], 1e-9, "the compiled layer has the same gradient", layer)

    def test_export(self) -> None:
        layer, x = self._case(self._spaces[-1])
        file = io.BytesIO()
        torch.export.save(torch.export.export(layer, (x,)), file)
        file.seek(0)
        loaded = torch.export.load(file).module()
        _close(loaded(x), layer(x), 1e-9, "the exported, saved and loaded layer is the same function", layer)

    def test_repr_says_the_types(self) -> None:
        layer = self._layer(self._spaces[0])
        for kind in self._types(layer):
            _require(str(kind) in repr(layer), f"repr contains the type {kind}", layer)

    def test_weights_fit_every_window(self) -> None:
        dim, (base, count) = self._spaces[0], self.windows[0]
        narrow = self._layer(dim)
        wide_field = self.make_field(
            ScaleTranslationGroup(dim, base, count + 1, self.rotations, sampling=self.sampling)
        )
        wide = self._made(wide_field)
        try:
            wide.load_state_dict(narrow.state_dict())
        except RuntimeError as error:
            text = f"weights do not depend on the window, but those of {narrow} do not fit one scale more: {error}"
            raise AssertionError(text) from None
        if not math.isfinite(getattr(narrow, "declared_error", math.inf)):
            return  # it looks at the whole window, so that what it returns depends on the window
        field = self.make_field(self._group(dim))
        results = []
        for layer, kind in ((narrow, field), (wide, wide_field)):
            places = input_places(_in_type(layer, kind), 33, product_of_strides(narrow))
            y = layer(sampled(Blobs.random(_in_type(layer, kind), 4.0), places))
            results.append(by_scale(y, _out_type(layer, kind)))
        below, above = truncation_reach(narrow)
        few, many = results
        for a, b in list(zip(few, many, strict=False))[below : len(few) - above]:
            _close(a, b, 1e-9, "a wider window changes nothing in the scales that both have", narrow)

    def test_bad_inputs_are_refused(self) -> None:
        layer, x = self._case()
        strange = ScaleTranslationGroup(self._spaces[0], 3.0, 2, self.rotations, sampling=self.sampling)
        other = self._made(self.make_field(strange))
        cases: dict[str, Callable[[], object]] = {
            "a channel too many": lambda: layer(each(lambda part: torch.cat([part, part[:, :1]], dim=1), x)),
            "an axis too few": lambda: layer(each(lambda part: part[0], x)),
            "an axis too many": lambda: layer(each(lambda part: part[..., None], x)),
            "integers": lambda: layer(each(lambda part: part.long(), x)),
            "a layer of another group behind it": lambda: nn.Sequential(layer, other),  # type: ignore[arg-type]
        }
        if next(layer.parameters(), None) is not None:
            cases["another dtype than its parameters'"] = lambda: layer(to_dtype(x, torch.float32))
        if isinstance(x, tuple):
            cases["a scale too many"] = lambda: layer((*x, x[-1]))
            cases["a single tensor"] = lambda: layer(x[0])
        else:
            cases["a tuple of tensors"] = lambda: layer((x,))
        for case, attempt in cases.items():
            wanted = FieldTypeError if case.startswith("a layer") else ScaleGroupError
            try:
                attempt()
            except wanted:
                continue
            except Exception as error:
                text = f"{case} must raise {wanted.__name__}, not {type(error).__name__}: {error}"
                raise AssertionError(text) from error
            raise AssertionError(f"{case} must raise {wanted.__name__}; {layer} said nothing")

    def run(self) -> None:
        """Run all tests of the contract, outside pytest; the first that fails raises `AssertionError`."""
        names = {name: None for cls in reversed(type(self).__mro__) for name in vars(cls)}  # as written
        for name in filter(lambda name: name.startswith("test_"), names):
            getattr(self, name)()

    # What the tests are run on

    def _group(self, dim: int, window: int = 0) -> ScaleTranslationGroup:
        base, count = self.windows[window]
        return ScaleTranslationGroup(dim, base, count, self.rotations, sampling=self.sampling)

    @property
    def _spaces(self) -> tuple[int, ...]:
        """The dimensions of space that the rotations act on."""
        if self.rotations is None:
            return self.dims
        groups = {dim: CompactGroup.named(self.rotations, dim) for dim in self.dims}
        if not all(isinstance(group, SignedPermutations) for group in groups.values()):
            hint = "testing.rotation_error with protocol='blobs' measures other rotations"
            raise ScaleGroupError("rotations of a LayerContract that map the grid to itself", self.rotations, hint)
        found = tuple(dim for dim, group in groups.items() if group.dim == dim)
        if not found:
            raise ScaleGroupError(f"rotations of a space of {self.dims} dimensions", self.rotations, "change dims")
        return found

    def _layers(self) -> Iterator[torch.nn.Module]:
        for dim in self._spaces:
            for window in range(len(self.windows)):
                yield self._made(self.make_field(self._group(dim, window)))

    def _layer(self, dim: int) -> torch.nn.Module:
        return self._made(self.make_field(self._group(dim)))

    def _types(self, layer: torch.nn.Module) -> tuple[FieldType, FieldType]:
        field = self.make_field(self._group(self._spaces[0]))  # for modules that do not name their types
        return _in_type(layer, field), _out_type(layer, field)

    def _case(self, dim: int | None = None) -> tuple[torch.nn.Module, Samples]:
        """A layer and an input."""
        layer = self._layer(dim or self._spaces[0])
        return layer, self._noise(layer, dim or self._spaces[0])

    def _noise(self, layer: torch.nn.Module, dim: int, size: int = 9) -> Samples:
        field = _in_type(layer, self.make_field(self._group(dim)))
        return noise(field, size, product_of_strides(layer), torch.Generator().manual_seed(1))

    def _made(self, field: FieldType) -> torch.nn.Module:
        """The layer in float64 and eval mode, with parameters and running statistics unlike the initial ones."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            layer = self.make_layer(field).double()
            for parameter in layer.parameters():  # initial zeros and ones hide what a layer does with them
                parameter.add_(0.1 * torch.randn_like(parameter))
            layer.train()(noise(_in_type(layer, field), 9, product_of_strides(layer), torch.default_generator))
        return layer.eval()

    def _measure(self, layer: torch.nn.Module) -> EquivarianceErrors:
        in_type, out_type = self._types(layer)
        return equivariance_error(
            layer, protocol=self.protocol, size=self.size, inside=self.inside, in_type=in_type, out_type=out_type
        )

    def _bound(self, layer: torch.nn.Module) -> float:
        declared = float(getattr(layer, "declared_error", math.inf)) if self.tolerance is None else self.tolerance
        text = "the layer declares a finite error, or the contract sets `tolerance`"
        _require(math.isfinite(declared), text, layer)
        return declared + self.rounding


def _in_type(layer: torch.nn.Module, field: FieldType) -> FieldType:
    return _type(layer, "in_type", field)


def _out_type(layer: torch.nn.Module, field: FieldType) -> FieldType:
    return _type(layer, "out_type", field)


def _type(layer: torch.nn.Module, name: str, field: FieldType) -> FieldType:
    found = getattr(layer.layer if isinstance(layer, Smeared | Tilted) else layer, name, field)
    return found if isinstance(found, FieldType) else field


def _require(holds: bool, law: str, layer: object, detail: object = None) -> None:
    # Not an assert statement: pytest does not explain those of installed packages, and -O removes them.
    if not holds:
        raise AssertionError(f"not true: {law}; for {layer}" + ("" if detail is None else f"; {detail}"))


def _close(value: Samples, wanted: Samples, tolerance: float, law: str, layer: object) -> None:
    value, wanted = flat(value).detach(), flat(wanted).detach()
    error = float((value - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))
    _require(error <= tolerance, f"{law} (error {error:.2e}, allowed {tolerance:.2e})", layer)


def _short(values: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{value:.1e}" for value in values) + "]"
