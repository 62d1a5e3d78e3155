"""Imports during which no garbage is looked for."""

import gc

import pytest

from ctloupe.foundation.importing import importing


@pytest.mark.parametrize("collected", [True, False])
def test_the_collector_rests_in_the_block_and_is_afterwards_as_before(collected):
    before = gc.isenabled()
    (gc.enable if collected else gc.disable)()
    try:
        with pytest.raises(ImportError), importing():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() == collected
    finally:
        (gc.enable if before else gc.disable)()
