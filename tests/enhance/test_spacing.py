"""Trained spacing against the scan's."""

import numpy as np
import pytest

from ctloupe.enhance.spacing import require_spacing
from ctloupe.foundation.errors import ModelError
from ctloupe.volume.volume import Volume


def test_ten_percent_off_is_let_pass_and_more_is_refused_with_the_choice():
    volume = Volume(np.zeros((2, 4, 4), np.int16), (5.0, 0.84, 0.84))
    require_spacing(volume, (0.80, 0.80), "m")
    with pytest.raises(ModelError, match=r"0\.625×0\.625.*0\.84×0\.84.*`resample`.*`accept_spacing`"):
        require_spacing(volume, (0.625, 0.625), "m")
