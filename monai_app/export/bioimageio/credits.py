"""Authors, licence and citations of a model, which the user must provide."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monai_app.errors import ConfigError

_DOI = re.compile(r"\b10\.[0-9]{4,9}/\S+")
_URL = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class Credits:
    """The credits of a model.

    Args:
        authors: ``NAME``, or ``NAME; AFFILIATION``, each.
        license: the SPDX identifier, such as ``CC-BY-4.0``.
        cite: texts, each with the DOI or URL of what is to be cited.
    """

    authors: tuple[str, ...]
    license: str | None
    cite: tuple[str, ...] = ()

    def check(self) -> None:
        """Check that there is an author and a licence, and that citations can be found.

        Raises:
            ConfigError: they are missing.
        """
        if not self.authors or not all(self._names()):
            raise ConfigError(
                "a bioimage.io model names who made it; give --author NAME, or 'NAME; AFFILIATION', once for each"
            )
        if wrong := [name for name in self._names() if "/" in name]:
            raise ConfigError(f"--author {wrong[0]!r}: names at bioimage.io cannot contain '/'; write it without")
        if not self.license:
            raise ConfigError(
                "a bioimage.io model says under which licence it may be used, and that is for you to choose; give "
                "--license with an SPDX identifier, such as CC-BY-4.0"
            )
        for text in self.cite:
            if citation(text) is None:
                raise ConfigError(
                    f"--cite {text!r} contains neither a DOI nor a URL; add one, as in 'A. Author: Title, doi "
                    "10.1000/1'"
                )

    def author_entries(self) -> list[dict[str, Any]]:
        """The authors as rdf.yaml has them."""
        affiliations = (text.partition(";")[2].strip() for text in self.authors)
        return [
            {"name": name, **({"affiliation": affiliation} if affiliation else {})}
            for name, affiliation in zip(self._names(), affiliations, strict=True)
        ]

    def _names(self) -> list[str]:
        return [text.partition(";")[0].strip() for text in self.authors]


def citations(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Those of some references that hold a DOI or URL, as rdf.yaml has them."""
    return [entry for text in texts if (entry := citation(text)) is not None]


def citation(text: str) -> dict[str, Any] | None:
    """A reference as rdf.yaml has it; None if it holds neither a DOI nor a URL.

    Example:
        >>> citation("Ronneberger et al.: U-Net, doi 10.1007/978-3-319-24574-4_28")
        {'text': 'Ronneberger et al.: U-Net', 'doi': '10.1007/978-3-319-24574-4_28'}
    """
    for key, pattern in (("doi", _DOI), ("url", _URL)):
        if found := pattern.search(text):
            about = re.sub(r"[\s,;]*(?:doi:?\s*|https?://doi\.org/)?$", "", text[: found.start()])
            return {"text": about or found[0], key: found[0].rstrip(".,;)")}
    return None
