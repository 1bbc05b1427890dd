"""Field types live on modules: they must not get in the way of compiling, exporting, copying and saving."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import pytest
import torch
from torch import Tensor

from scalegroup.errors import FieldTypeError
from scalegroup.fields import FieldType
from scalegroup.groups import ScaleTranslationGroup

GROUP = ScaleTranslationGroup(dim=1, base=2.0, num_scales=3)
FIELD = 2 * GROUP.regular + 3 * GROUP.character(1.0)


class Scaled(torch.nn.Module):
    """Reads everything that layers read from a type while they run."""

    def __init__(self, field: FieldType) -> None:
        super().__init__()
        self.in_type = self.out_type = field
        self.gain = torch.nn.Parameter(torch.arange(1.0, 1 + field.num_fields))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.in_type.size or self.in_type != self.out_type:
            raise FieldTypeError(str(self.in_type.size), x.shape[1], "give the channels of the type")
        parts, start = [], 0
        for (count, part), block in zip(self.in_type.blocks, self.in_type.slices, strict=True):
            fields = x[:, block].unflatten(1, (count, part.size // part.num_scales, part.num_scales))
            gain = self.gain[start : start + count, None, None, None]
            parts.append((fields * gain).flatten(1, 3))
            start += count
        return torch.cat(parts, 1) * len(self.in_type.group.scales)


def test_compile_in_one_graph() -> None:
    layer, x = Scaled(FIELD), torch.randn(2, FIELD.size, 5)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), layer(x))


def test_export_save_and_load() -> None:
    layer, x = Scaled(FIELD), torch.randn(2, FIELD.size, 5)
    file = io.BytesIO()
    torch.export.save(torch.export.export(layer, (x,)), file)
    file.seek(0)
    torch.testing.assert_close(torch.export.load(file).module()(x), layer(x))


def test_copy_and_pickle_keep_the_type(tmp_path: Path) -> None:
    layer = Scaled(FIELD)
    torch.save(layer, tmp_path / "layer.pt")
    for twin in (copy.deepcopy(layer), torch.load(tmp_path / "layer.pt", weights_only=False)):
        assert twin.in_type == FIELD
        assert list(twin.state_dict()) == ["gain"]


def test_the_check_works() -> None:
    with pytest.raises(FieldTypeError, match="expected 9, received 8"):
        Scaled(FIELD)(torch.randn(2, 8, 5))
