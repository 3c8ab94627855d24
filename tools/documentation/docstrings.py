"""How docstrings are read for the pages on the Python interface."""

import re
from typing import Any

import griffe


class ExampleSections(griffe.Extension):
    """Takes a section ``Example:`` for code that is run, as ``Examples:`` is."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
