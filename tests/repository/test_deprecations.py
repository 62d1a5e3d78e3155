"""What libraries are about to take away fails the tests where this package calls it, and there alone."""

import warnings

import pytest

CALL = compile("def call(deprecated):\n    deprecated()", "module", "exec")


@pytest.fixture
def called_from():
    """A function that calls something deprecated from a module of a given name."""

    def deprecated():
        warnings.warn("this goes away", DeprecationWarning, stacklevel=2)

    def call(module):
        names = {"__name__": module}
        exec(CALL, names)
        names["call"](deprecated)

    return call


@pytest.mark.parametrize("module", ["ctloupe", "ctloupe.doctor", "ctloupe.volume.formats.dicom.reader"])
def test_a_deprecated_call_in_any_module_of_the_package_is_an_error(called_from, module):
    with pytest.raises(DeprecationWarning, match="goes away"):
        called_from(module)


@pytest.mark.parametrize("module", ["scipy.ndimage", "other.ctloupe"])
def test_a_deprecated_call_elsewhere_is_not(called_from, module):
    called_from(module)
