"""How much of the annotations a variant is trained on, as text such as ``4+11`` or ``all:10%blocks``."""

import re
from dataclasses import dataclass
from typing import Literal, cast

from monai_app.errors import ConfigError

Way = Literal["blocks", "scribbles"]

_TEXT = re.compile(
    r"(?P<slices>all|[0-9]{1,6}(\+[0-9]{1,6})*)(:(?P<share>[0-9]{1,2}(\.[0-9]{1,3})?)%(?P<way>blocks|scribbles))?"
)


@dataclass(frozen=True)
class Amount:
    """A part of the annotations to train on.

    Attributes:
        slices: z of the annotated slices, ascending; none for all that there are to train on.
        share: percent of the labelled area of each of them; None for whole slices.
        way: whether the share is labelled in blocks or in scribbles; None for whole slices.
    """

    slices: tuple[int, ...]
    share: float | None = None
    way: Way | None = None

    def __str__(self) -> str:
        """Return the text that `read_amount` reads."""
        slices = "+".join(map(str, self.slices)) or "all"
        return slices if self.share is None else f"{slices}:{self.share:g}%{self.way}"


def size_of(amount: Amount | None) -> str:
    """Say how much is labelled, whichever slices it is; None is all.

    Example:
        >>> size_of(read_amount("4+11")), size_of(read_amount("all:0.5%scribbles")), size_of(None)
        ('2 slices', '0.5 % of all slices in scribbles', 'all slices')
    """
    slices = () if amount is None else amount.slices
    many = f"{len(slices)} slice{'s' * (len(slices) > 1)}" if slices else "all slices"
    return many if amount is None or amount.share is None else f"{amount.share:g} % of {many} in {amount.way}"


def read_amount(text: str) -> Amount:
    """Read ``SLICE+SLICE``, or with ``:SHARE%blocks`` or ``:SHARE%scribbles`` behind it; ``all`` stands for all slices.

    Raises:
        ConfigError: the text is not an amount, or holds a slice twice.

    Example:
        >>> str(read_amount("11+4:10%blocks"))
        '4+11:10%blocks'
    """
    found = _TEXT.fullmatch(text)
    share = None if found is None or found["share"] is None else float(found["share"])
    if found is None or text == "all" or share == 0:
        raise ConfigError(
            f"{text!r} is not an amount of labels; write slices, such as 4 or 4+11, or a share of them of more than 0 "
            "and less than 100 %, such as 4:10%blocks or all:2%scribbles"
        )
    slices = () if found["slices"] == "all" else tuple(sorted(map(int, found["slices"].split("+"))))
    if len(set(slices)) < len(slices):
        raise ConfigError(f"{text!r} holds a slice twice; give each once")
    return Amount(slices, share, cast(Way | None, found["way"]))
