"""The tests of a layer that ask whether it is a good torch module: numbers, gradients, copies, graphs, checks."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable

import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import FieldTypeError, ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.nn.module import Samples, each, grids
from scalegroup.testing import hints
from scalegroup.testing.contract import must_run, require
from scalegroup.testing.errors import truncation_reach
from scalegroup.testing.inputs import Blobs
from scalegroup.testing.layer_cases import LayerCases, in_type_of, out_type_of
from scalegroup.testing.layer_laws import (
    copies,
    require_close,
    require_gradients,
    require_refusal,
    require_use,
    trained_values,
)
from scalegroup.testing.places import input_places, product_of_strides, sampled
from scalegroup.testing.samples import by_scale, flat, to_dtype


class ModuleTests(LayerCases):
    """A layer works wherever torch works."""

    # Numbers

    def test_dtypes(self) -> None:
        """Each of `dtypes` comes out as it went in, and accurate; float64 is computed in float64."""
        layer, x = self._case()
        exact = layer(x)
        for dtype in self.dtypes:
            y = copy.deepcopy(layer).to(dtype)(to_dtype(x, dtype))
            found = next((part.dtype for part in grids(y) if part.dtype != dtype), dtype)
            require(found == dtype, f"input of {dtype} gives output of {dtype}", found, hints.CAST, layer)
            tolerance = 100 * torch.finfo(dtype).eps
            require_close(to_dtype(y, torch.float64), exact, tolerance, f"{dtype} is accurate", hints.CAST, layer)
        rounded = to_dtype(to_dtype(exact, torch.float32), torch.float64)
        double = not torch.equal(flat(exact), flat(rounded))
        require(double, "float64 is computed in float64", "numbers that float32 holds exactly", hints.CAST, layer)

    def test_autocast(self) -> None:
        """Under autocast to bfloat16 the output stays within 5 %."""
        layer, x = self._case()
        exact = layer(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer.float()(to_dtype(x, torch.float32))
        law = "autocast to bfloat16 is accurate"
        require_close(to_dtype(y, torch.float64), exact, 0.05, law, hints.AUTOCAST, layer)

    def test_gradients(self) -> None:
        """The gradients of input and parameters are those of finite differences."""
        layer = self._layer(self._spaces[0])
        values = trained_values(layer)
        x = self._noise(layer, self._spaces[0], size=5)
        parts = [part.requires_grad_() for part in grids(x)]

        def function(*arguments: Tensor) -> Samples:
            field = arguments[0] if isinstance(x, Tensor) else arguments[: len(parts)]
            parameters = dict(zip(values, arguments[len(parts) :], strict=True))
            result: Samples = torch.func.functional_call(layer, parameters, (field,))
            return result

        require_gradients(function, (*parts, *values.values()), layer)

    def test_every_parameter_gets_a_gradient(self) -> None:
        """In training no parameter is left out."""
        layer, x = self._case()
        if any(p.requires_grad for p in layer.parameters()):
            require_use(layer, layer.train()(x))

    # Life of a module

    def test_deepcopy_and_pickle(self) -> None:
        """Copies compute and print the same."""
        layer, x = self._case()
        for law, twin in copies(layer):
            same = torch.equal(flat(twin(x)), flat(layer(x)))
            require(same, f"{law} gives the same function", "other numbers", hints.SAME, layer)
            require(repr(twin) == repr(layer), f"{law} gives the same repr", repr(twin), hints.PLAIN, layer)

    def test_frozen(self) -> None:
        """`nn.freeze` gives the same function, and train, eval and frozen have one state dict."""
        layer, x = self._case()
        frozen = nn.freeze(layer)
        keys = {"eval": list(layer.eval().state_dict()), "train": list(layer.train().state_dict())}
        keys["frozen"] = list(frozen.state_dict())
        same = len(set(map(tuple, keys.values()))) == 1
        require(same, "train, eval and frozen have one state dict", keys, hints.STATE, layer)
        require_close(frozen(x), layer.eval()(x), 1e-9, "the frozen layer is the same function", hints.STATE, layer)
        frozen.load_state_dict(layer.state_dict())

    def test_compile(self) -> None:
        """`torch.compile(fullgraph=True)` gives the same output and the same gradient."""
        layer, x = self._case(self._spaces[-1])
        torch._dynamo.reset()
        compiled = torch.compile(layer, fullgraph=True, backend=self.compile_backend)
        inputs = [each(lambda part: part.clone().requires_grad_(), x) for _ in range(2)]
        with must_run("the layer compiles in one graph", hints.GRAPH, layer):
            results = compiled(inputs[0]), layer(inputs[1])
        require_close(results[0], results[1], 1e-9, "the compiled layer is the same function", hints.GRAPH, layer)
        for y in results:
            flat(y).square().sum().backward()
        slopes = [each(lambda part: torch.zeros_like(part) if part.grad is None else part.grad, x) for x in inputs]
        require_close(slopes[0], slopes[1], 1e-9, "the compiled layer has the same gradient", hints.GRAPH, layer)

    def test_export(self) -> None:
        """`torch.export`, save and load give the same output."""
        layer, x = self._case(self._spaces[-1])
        file = io.BytesIO()
        with must_run("the layer is exported, saved and loaded", hints.GRAPH, layer):
            torch.export.save(torch.export.export(layer, (x,)), file)
            file.seek(0)
            y = torch.export.load(file).module()(x)
        require_close(y, layer(x), 1e-9, "the exported layer is the same function", hints.GRAPH, layer)

    def test_repr_says_the_types(self) -> None:
        """`repr` contains the types of input and output."""
        layer = self._layer(self._spaces[0])
        for kind in self._types(layer):
            require(str(kind) in repr(layer), f"repr contains the type {kind}", repr(layer), hints.REPR, layer)

    def test_weights_fit_every_window(self) -> None:
        """The weights load into a window with one scale more, and do the same on the scales that both have."""
        dim, (base, count) = self._spaces[0], self.windows[0]
        narrow = self._layer(dim)
        wide_field = self.make_field(
            ScaleTranslationGroup(dim, base, count + 1, self.rotations, sampling=self.sampling)
        )
        wide = self._made(wide_field)
        with must_run("weights fit one scale more", hints.WINDOW, narrow):
            wide.load_state_dict(narrow.state_dict())
        if not math.isfinite(getattr(narrow, "declared_error", math.inf)):
            return  # it looks at the whole window, so that what it returns depends on the window
        field = self.make_field(self._group(dim))
        results = []
        for layer, kind in ((narrow, field), (wide, wide_field)):
            places = input_places(in_type_of(layer, kind), 33, product_of_strides(narrow))
            y = layer(sampled(Blobs.random(in_type_of(layer, kind), 4.0), places))
            results.append(by_scale(y, out_type_of(layer, kind)))
        below, above = truncation_reach(narrow)
        few, many = results
        law = "a wider window changes nothing in the scales that both have"
        for a, b in list(zip(few, many, strict=False))[below : len(few) - above]:
            require_close(a, b, 1e-9, law, hints.WHOLE_WINDOW, narrow)

    def test_bad_inputs_are_refused(self) -> None:
        """Wrong shapes, dtypes and groups raise `ScaleGroupError`."""
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
            require_refusal(attempt, case, wanted, hints.CHECK, layer)
