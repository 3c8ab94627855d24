"""The slices of a stack by position, by name and by the number in the name."""

from collections.abc import Mapping

from monai_app.errors import AnnotationError
from monai_app.io.sources import Source, last_number


class SliceIndex:
    """Finds a slice by what users call it.

    Args:
        detectors: the images, detector name -> source, which agree in the number of slices.
    """

    def __init__(self, detectors: Mapping[str, Source]) -> None:
        # Where any detector is a folder, its file names are what users know; pages of one file are only counted.
        sources = [source for source in detectors.values() if source.is_folder] or list(detectors.values())
        self.names = sources[0].names
        self._by_name: dict[str, set[int]] = {}
        self._by_number: dict[int, set[int]] = {}
        for source in sources:
            for z, name in enumerate(source.names):
                self._by_name.setdefault(name, set()).add(z)
                number = last_number(name)
                if number is not None:
                    self._by_number.setdefault(number, set()).add(z)

    def __len__(self) -> int:
        return len(self.names)

    def check(self, z: int, where: str) -> int:
        """Give ``z`` if there is such a slice.

        Raises:
            AnnotationError: there is none.
        """
        if not 0 <= z < len(self):
            raise AnnotationError(
                f"{where}: slice {z} does not exist; the slices are 0 to {len(self) - 1}, counted from 0: correct it"
            )
        return z

    def resolve(self, entry: int | str, where: str) -> int:
        """The z of a slice given as z or as the file stem of one of its images.

        Raises:
            AnnotationError: there is no such slice, or several.
        """
        if isinstance(entry, int):
            return self.check(entry, where)
        found = self._by_name.get(entry)
        if found is None:
            raise AnnotationError(
                f"{where}: no image has the stem {entry!r}; the stems are {self.names[0]!r} to {self.names[-1]!r}, and "
                "z is written without quotes: correct it"
            )
        return self._only(found, repr(entry))

    def match(self, name: str) -> int | None:
        """The z of the slice to which a label file belongs: by its stem, else by the last number in it.

        Raises:
            AnnotationError: several slices have that stem or number.
        """
        found = self._by_name.get(name)
        if found is None:
            number = last_number(name)
            found = None if number is None else self._by_number.get(number)
        return None if found is None else self._only(found, repr(name))

    @staticmethod
    def _only(found: set[int], what: str) -> int:
        if len(found) > 1:
            raise AnnotationError(
                f"{what} fits slices {', '.join(map(str, sorted(found)))}: their names share it; name the annotation "
                "exactly like the image of its slice, or give the images unique names"
            )
        (z,) = found
        return z
