"""Layers are tested as this machine computes them, and as one without compiled convolutions does."""

import pytest

from ctloupe.networks.compiled import library


@pytest.fixture(autouse=True, params=["compiled", "by PyTorch"])
def convolutions(request, monkeypatch):
    if request.param == "by PyTorch":
        monkeypatch.setattr(library, "registers", lambda: ())
