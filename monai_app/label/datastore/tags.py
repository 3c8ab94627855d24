"""Tags of labels: which there are, and which may be given to what."""

from collections.abc import Mapping
from typing import Any

from monailabel.interfaces.datastore import DefaultLabelTag

from monai_app.errors import ConfigError
from monai_app.label.datastore.volumes import check_id

FINAL = DefaultLabelTag.FINAL.value
"""Of labels that people checked."""

ORIGINAL = DefaultLabelTag.ORIGINAL.value
"""Of what a model says, unless it is asked for under another one."""


def check_tag(name: str) -> str:
    """Return the tag of a label if it is one.

    Raises:
        ConfigError: it breaks the rule of ids, or is ``final`` but for its case and so would be taken for it.
    """
    if check_id(name, "tag") != FINAL and name.casefold() == FINAL:
        raise ConfigError(f"tag {name!r}: labels that people checked have the tag {FINAL!r}; write it so, or another")
    return name


def prediction_tag(options: Mapping[str, Any]) -> str:
    """Return the tag under which what a model says is kept: the option ``label_tag``, or `ORIGINAL`.

    Raises:
        ConfigError: it is no tag, or `FINAL`.
    """
    tag = check_tag(str(options.get("label_tag") or ORIGINAL))
    if tag == FINAL:
        raise ConfigError(f"label_tag {FINAL!r} is for what people checked; choose another, such as {ORIGINAL!r}")
    return tag
