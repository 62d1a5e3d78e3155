"""The questions that metrics answer; words and tables are grouped by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Question:
    """What a reader wants to know of an enhanced volume.

    Attributes
    ----------
    text
        Begins the sentence that answers it.
    theme
        Heading of the leaderboard's table that its metrics stand in; several questions may share one.
    """

    text: str
    theme: str


RIGHT_VALUE: Final = Question(
    "Right value at the right voxel", "Right value at the right voxel, and agreement with the scan"
)
TRUE_DETAIL: Final = Question("Finest true detail", "True detail")
ANY_DETAIL: Final = Question("Finest detail of any kind, true or invented", "Detail of any kind, true or invented")
AIRWAY_WALLS: Final = Question("Sharpness of airway walls", "True detail")
STRUCTURES_FOUND: Final = Question("Structures where they are", "Structures found")
STRUCTURES_INVENTED: Final = Question("Structures invented", "Structures invented and lost")
STRUCTURES_LOST: Final = Question("Structures lost", "Structures invented and lost")
TEXTURE: Final = Question("Texture like the truth's or the µCT's", "Texture, wherever it lies")
AGREEMENT: Final = Question("Agreement with the scan it was made from", RIGHT_VALUE.theme)
ONE_ANSWER: Final = Question("One answer to two reconstructions of one acquisition", "One answer to two kernels")
HONEST_UNCERTAINTY: Final = Question("Uncertainty as large as the errors, and largest where they are", "Uncertainty")

QUESTIONS: Final = (
    RIGHT_VALUE,
    TRUE_DETAIL,
    ANY_DETAIL,
    AIRWAY_WALLS,
    STRUCTURES_FOUND,
    STRUCTURES_INVENTED,
    STRUCTURES_LOST,
    TEXTURE,
    AGREEMENT,
    ONE_ANSWER,
    HONEST_UNCERTAINTY,
)
"""All questions, in the order in which a page answers them."""
