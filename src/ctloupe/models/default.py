"""What is used where no model is named, and what can be named in place of one; importing this costs nothing."""

from __future__ import annotations

from typing import Final

DEFAULT: Final = "lung-demo"
"""What enhances where no model is named."""

INTERPOLATIONS: Final = ("bicubic", "nearest", "lanczos")
"""What can be named in place of a model."""
