"""What `pyproject.toml` cannot say for certain yet: what is compiled from C, for which a C compiler is enough."""

import os

from setuptools import Extension, setup

NETWORKS, EVALUATE = "src/ctloupe/networks/compiled", "src/ctloupe/evaluate/compiled"


def extension(name: str, sources: list[str], headers: list[str]) -> Extension:
    """Describe a library compiled from C."""
    return Extension(
        name,
        sources,
        depends=headers,
        extra_compile_args=["-O3", "-g0", "-ffp-contract=fast"],
        # Nothing of Python is called, so that one build serves all versions.
        py_limited_api=True,
        # Without a compiler the package is installed all the same, and libraries do the same more slowly.
        optional=True,
    )


compiled = [
    extension(
        "ctloupe.networks.compiled._compiled",
        [f"{NETWORKS}/{name}.c" for name in ("winograd", "to_one_channel", "normalise")],
        [f"{NETWORKS}/{name}.h" for name in ("registers", "winograd", "to_one_channel", "normalise")],
    ),
    extension("ctloupe.evaluate.compiled._thin", [f"{EVALUATE}/thin.c"], []),
]

# A wheel for every kind of machine is asked for by CTLOUPE_PURE.
if os.environ.get("CTLOUPE_PURE"):
    setup()
else:
    setup(ext_modules=compiled, options={"bdist_wheel": {"py_limited_api": "cp311"}})
