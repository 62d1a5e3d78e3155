"""The model that comes with the package: small, whole, licensed, and said to be a demonstration."""

import pytest

from ctloupe.foundation.errors import ModelError
from ctloupe.models.default import DEFAULT
from ctloupe.models.get import GetRequest, get_model
from ctloupe.models.names import installed
from ctloupe.models.opened import open_package
from ctloupe.models.pack import PackRequest, pack_model
from ctloupe.models.record import CARD, LICENCE
from ctloupe.models.show import card_of

SHIPPED = [one for one in installed() if one.source == "package"]


@pytest.mark.parametrize("model", SHIPPED, ids=lambda one: one.record.name)
def test_it_is_whole_small_and_says_what_it_is(model):
    package, record = open_package(model.record.name)
    assert record == model.record and model.bytes <= 5_000_000
    assert record.licence == "Apache-2.0" and "Apache License" in (model.folder / LICENCE).read_text()
    assert "demonstration" in record.demonstration
    assert (model.folder / CARD).read_text(encoding="utf-8") == card_of(record.name)
    assert package.card.training["steps"] > 1000 and "Research use only" in record.notice
    # Bicubic is a column of what was measured.
    assert {key.split(": ")[1] for key in package.card.metrics} == {"bicubic", "enhanced"}


def test_the_default_is_one_of_them():
    assert DEFAULT in {one.record.name for one in SHIPPED}


def test_its_name_cannot_be_taken(tiny_model, tmp_path):
    pack_model(PackRequest(tiny_model, tmp_path / "other.ctloupe", DEFAULT))
    with pytest.raises(ModelError, match="is that of a model that came with ctloupe"):
        get_model(GetRequest(str(tmp_path / "other.ctloupe")))
