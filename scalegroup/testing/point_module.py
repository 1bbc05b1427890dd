"""The tests of a layer on point clouds that ask whether it is a good torch module: numbers, copies, checks."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalegroup import nn
from scalegroup.errors import ScaleGroupError
from scalegroup.groups import ScaleTranslationGroup
from scalegroup.testing import hints
from scalegroup.testing.contract import must_run, require
from scalegroup.testing.errors import truncation_reach
from scalegroup.testing.experiment import group_of
from scalegroup.testing.layer_laws import (
    copies,
    require_close,
    require_gradients,
    require_refusal,
    require_use,
    trained_values,
)
from scalegroup.testing.point_cases import PointCases
from scalegroup.testing.point_errors import Cloud, channels_of


class PointModuleTests(PointCases):
    """A layer works wherever torch works, but for `torch.compile(fullgraph=True)` and `torch.export`."""

    # Numbers

    def test_dtypes(self) -> None:
        """float32 gives float32, accurately; float64 is computed in float64."""
        layer, cloud = self._case()
        exact = self._run(layer, cloud)
        y = self._run(copy.deepcopy(layer).float(), Cloud(cloud.x.float(), cloud.pos.float(), cloud.batch))
        require(y.dtype == torch.float32, "float32 gives float32", y.dtype, hints.CAST, layer)
        require_close(y.double(), exact, self.rounding32, "float32 is accurate", hints.CAST, layer)
        double = not torch.equal(exact.float().double(), exact)
        received = "numbers that float32 holds exactly"
        require(double, "float64 is computed in float64", received, hints.CAST, layer)

    def test_autocast(self) -> None:
        """Under autocast to bfloat16 the output stays within 5 %."""
        layer, cloud = self._case()
        exact = self._run(layer, cloud)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self._run(layer.float(), cloud._replace(x=cloud.x.float(), pos=cloud.pos.float()))
        require_close(y.double(), exact, 0.05, "autocast to bfloat16 is accurate", hints.AUTOCAST, layer)

    def test_gradients(self) -> None:
        """The gradients of features and parameters are those of finite differences."""
        layer, cloud = self._case()
        values = trained_values(layer)

        def function(x: Tensor, *arguments: Tensor) -> Tensor:
            parameters = dict(zip(values, arguments, strict=True))

            class Call(torch.nn.Module):
                def forward(self, *arguments: Any, **options: Any) -> Any:
                    return torch.func.functional_call(layer, parameters, arguments, options)

            return self.run_layer(Call(), x, cloud.pos, cloud.batch)

        require_gradients(function, (cloud.x.clone().requires_grad_(), *values.values()), layer)

    def test_every_parameter_gets_a_gradient(self) -> None:
        """In training no parameter is left out."""
        layer, cloud = self._case()
        if any(p.requires_grad for p in layer.parameters()):
            require_use(layer, self.run_layer(layer.train(), *cloud))

    # Life of a module

    def test_deepcopy_and_pickle(self) -> None:
        """Copies compute and print the same."""
        layer, cloud = self._case()
        for law, twin in copies(layer):
            same = torch.equal(self._run(twin, cloud), self._run(layer, cloud))
            require(same, f"{law} gives the same function", "other numbers", hints.SAME, layer)
            require(repr(twin) == repr(layer), f"{law} gives the same repr", repr(twin), hints.PLAIN, layer)

    def test_frozen(self) -> None:
        """`nn.freeze` gives the same function, and train, eval and frozen have one state dict."""
        layer, cloud = self._case()
        frozen = nn.freeze(layer)
        keys = [list(part.state_dict()) for part in (layer.eval(), copy.deepcopy(layer).train(), frozen)]
        law = "train, eval and frozen have one state dict"
        require(keys[0] == keys[1] == keys[2], law, keys, hints.STATE, layer)
        law = "the frozen layer is the same function"
        require_close(self._run(frozen, cloud), self._run(layer, cloud), 1e-12, law, hints.STATE, layer)

    def test_repr_says_the_types(self) -> None:
        """`repr` contains the types of input and output."""
        layer = self._layer()
        for kind in self._types(layer):
            require(str(kind) in repr(layer), f"repr contains the type {kind}", repr(layer), hints.REPR, layer)

    def test_weights_fit_every_window(self) -> None:
        """The weights load into a window with one scale more, and do the same on the scales that both have."""
        base, count = self.windows[0]
        narrow = self._layer()
        wide = self._made(self.make_field(ScaleTranslationGroup(self.dims[-1], base, count + 1, self.rotations)))
        with must_run("weights fit one scale more", hints.WINDOW, narrow):
            wide.load_state_dict(narrow.state_dict())
        if not math.isfinite(getattr(narrow, "declared_error", math.inf)):
            return  # it looks at the whole window
        few_out, (many_in, many_out) = self._types(narrow)[1], self._types(wide)
        cloud = Cloud.random(many_in)
        kept = torch.from_numpy(np.flatnonzero(channels_of(many_in, range(count))))
        few = self._run(narrow, cloud._replace(x=cloud.x[:, kept]))
        last = group_of(few_out).num_scales - truncation_reach(narrow)[1]
        inner = [channels_of(kind, range(last)) for kind in (few_out, many_out)]
        many = self._run(wide, cloud)
        law = "a wider window changes nothing in the scales that both have"
        require_close(few[:, inner[0]], many[:, inner[1]], 1e-9, law, hints.WHOLE_WINDOW, narrow)

    def test_no_points_and_one(self) -> None:
        """No points give no output, and a single one gives finite numbers."""
        layer, cloud = self._case()
        none = self._run(layer, Cloud(*(part[:0] for part in cloud)))
        hint = "divide by a count only where it is not zero"
        require(len(none) == 0, "no points give no output", f"{len(none)} rows", hint, layer)
        one = self._run(layer, Cloud(cloud.x[:1], cloud.pos[:1], cloud.batch[:1] * 0))
        require(one.isfinite().all(), "a single point gives finite numbers", one.tolist(), hint, layer)

    def test_bad_inputs_are_refused(self) -> None:
        """Wrong shapes, dtypes and positions raise `ScaleGroupError`."""
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
            require_refusal(attempt, case, ScaleGroupError, hints.CHECK_POINTS, layer)
