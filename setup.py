"""What `pyproject.toml` cannot say for certain yet: the compiled convolutions, for which a C compiler is enough."""

import os

from setuptools import Extension, setup

FOLDER = "src/ctloupe/networks/compiled"

compiled = Extension(
    "ctloupe.networks.compiled._compiled",
    [f"{FOLDER}/{name}.c" for name in ("winograd", "to_one_channel", "normalise")],
    depends=[f"{FOLDER}/{name}.h" for name in ("registers", "winograd", "to_one_channel", "normalise")],
    extra_compile_args=["-O3", "-g0", "-ffp-contract=fast"],
    # Nothing of Python is called, so that one build serves all versions.
    py_limited_api=True,
    # Without a compiler the package is installed all the same, and PyTorch computes these convolutions.
    optional=True,
)

# A wheel for every kind of machine is asked for by CTLOUPE_PURE.
if os.environ.get("CTLOUPE_PURE"):
    setup()
else:
    setup(ext_modules=[compiled], options={"bdist_wheel": {"py_limited_api": "cp311"}})
