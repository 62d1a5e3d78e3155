"""How pictures of scans are compressed."""

from typing import Final

COMPRESS_LEVEL: Final = 2
"""Effort of zlib. The usual 6 takes longer than all drawing, and makes what is mostly noise hardly smaller."""
