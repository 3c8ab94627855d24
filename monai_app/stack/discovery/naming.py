"""Information in file names: which files belong together, names of detectors, and which contain labels."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from monai_app.io.base import EXCEPT, Request
from monai_app.io.registry import find_format, stem

_LABELS = {
    *("label", "labels", "annotation", "annotations", "annotated", "mask", "masks", "truth", "groundtruth", "gt"),
    *("seg", "segmentation", "segmentations", "segments", "labelmap"),
}
"""Words in names of label files."""

_ANY = {
    *("image", "images", "img", "imgs", "raw", "data", "stack", "stacks", "volume", "slices", "tif", "tiff", "tiffs"),
    *("grey", "gray", "original", "originals", "detector", "micrographs", "pictures", "png"),
}
"""Words that do not name a detector."""

_MOST = 8
"""Maximum groups of a folder; more are not detectors, but names that differ for another reason."""

_SPLITS = (r"([_\-. ]+)", r"([_\-. ]+|(?<=[^\W\d_])(?=\d))")
"""Where names are split into words: at separators, or also before numbers."""


@dataclass(frozen=True)
class Group:
    """Files of a folder that belong together, such as those of one detector.

    Args:
        files: in natural order.
        pattern: the pattern of file names that selects them in the folder; None if they are all its files.
        word: the word by which their names differ from those of others; empty if none does.
    """

    files: tuple[Path, ...]
    pattern: str | None = None
    word: str = ""

    @property
    def is_chosen(self) -> bool:
        """Whether a description can select its files without others in the folder."""
        return self.pattern is not None or len(self.files) == 1


def is_label_name(text: str) -> bool:
    """Whether a word in a name indicates labels.

    Example:
        >>> is_label_name("cement_labels"), is_label_name("slabs")
        (True, False)
    """
    return any(word in _LABELS for word in re.split(r"[\W_\d]+", text.casefold()))


def detector_name(text: str) -> str:
    """Convert a text to a valid detector name; empty if nothing valid is left, or it does not name a detector.

    Example:
        >>> detector_name("In-lens (top)"), detector_name("images")
        ('In-lens_top', '')
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_.-")
    return "" if name.casefold() in _ANY else name


def group_files(folder: Path, files: Sequence[Path]) -> list[Group]:
    """Group the image files of a folder by format, and by the word in which their names differ.

    That is a word with a letter: without it the names of every group are the same, or some of the largest group's. So
    it is a detector's name, or says that labels are meant. Labels that are called as an image and such a word, as
    ``a_label.tif`` beside ``a.tif``, are parted first.
    """
    images, beside = _labels_apart(files)
    labels = [choose(folder, word, each) for word, each in beside]
    if not labels:
        return _by_format(folder, files, alone=True)
    groups = [*_by_format(folder, images, alone=False, others=labels), *labels]
    return groups if all(group.is_chosen for group in groups) else _by_format(folder, files, alone=True)


def _labels_apart(files: Sequence[Path]) -> tuple[list[Path], list[tuple[str, list[Path]]]]:
    """The files that are called as another one and as labels, as ``a_label.tif`` beside ``a.tif``, by their words.

    Returns:
        The other files, and a word and its files for each word and ending.
    """
    stems = {stem(file).casefold() for file in files}
    images, labels = list[Path](), dict[tuple[str, str], list[Path]]()
    for file in files:
        parts = re.split(r"([_\-. ]+)", stem(file))
        place = next((place for place, part in enumerate(parts) if is_label_name(part)), 0)
        rest = parts[: place - 1] + parts[place + 1 :] if place else parts[2:]
        if is_label_name(parts[place]) and "".join(rest).casefold() in stems:
            labels.setdefault((parts[place].casefold(), file.suffix.casefold()), []).append(file)
        else:
            images.append(file)
    return images, [(word, each) for (word, _), each in labels.items()]


def _by_format(folder: Path, files: Sequence[Path], *, alone: bool, others: Sequence[Group] = ()) -> list[Group]:
    formats: dict[str, list[Path]] = {}
    for file in files:
        formats.setdefault(getattr(find_format(file), "name", ""), []).append(file)
    alone = alone and len(formats) == 1
    return [group for each in formats.values() for group in _by_word(folder, each, alone=alone, others=others)]


def _by_word(folder: Path, files: Sequence[Path], *, alone: bool, others: Sequence[Group]) -> list[Group]:
    for word_of in _cuts([stem(file) for file in files]):
        groups: dict[str, list[Path]] = {}
        rests: dict[str, set[str]] = {}
        for file in files:
            word, rest = word_of(stem(file))
            groups.setdefault(word.casefold(), []).append(file)
            rests.setdefault(word.casefold(), set()).add(rest.casefold())
        if _is_parting(groups, rests):
            found = [choose(folder, word_of(stem(each[0]))[0], each) for each in groups.values()]
            if all(group.pattern for group in found):
                return found
    return [Group(tuple(files)) if alone or len(files) == 1 else choose(folder, "", files, others)]


class _Cut:
    """Takes one word out of a name.

    Args:
        split: where names are cut.
        place: which word, counted from the beginning, or from the end if negative.
    """

    def __init__(self, split: str, place: int) -> None:
        self._split, self._place = split, place

    def __call__(self, name: str) -> tuple[str, str]:
        parts = re.split(self._split, name)
        place = 2 * self._place if self._place >= 0 else len(parts) + 1 + 2 * self._place
        if not 0 <= place < len(parts) or place - 1 >= len(parts):
            return "", name
        return parts[place], "".join((*parts[:place], "*", *parts[place + 1 :]))


def _cuts(names: Sequence[str]) -> Iterator[_Cut]:
    for split in _SPLITS:
        count = min(len(re.split(split, name)) // 2 + 1 for name in names)
        for place in range(count):
            yield _Cut(split, -place - 1)
            yield _Cut(split, place)


def _is_parting(groups: dict[str, list[Path]], rests: dict[str, set[str]]) -> bool:
    if not 2 <= len(groups) <= _MOST or not all(any(map(str.isalpha, word)) for word in groups):
        return False
    if any(len(rests[word]) < len(files) for word, files in groups.items()):
        return False
    most = max(rests.values(), key=len)
    return all(len(rest & most) > len(rest) / 2 for rest in rests.values())


def choose(folder: Path, word: str, files: Sequence[Path], others: Sequence[Group] = ()) -> Group:
    """Make a group, with a pattern if one chooses its files and no others of the folder.

    Args:
        folder: of the files.
        word: by which their names differ from those of others.
        files: the files.
        others: groups of the folder; all but the files of one of them may be meant.
    """
    ending = files[0].name[len(stem(files[0])) :]
    text = word.replace("[", "[[]")
    beside = sorted({mark for file in files for mark in re.findall(f"(?i)([_. -]?){re.escape(word)}", file.name)})
    before = next((mark for mark in beside if mark), "")
    patterns = (
        f"*{before}{text}{ending}",
        *(() if word else (f"*{ending}",)),
        *(f"{text}{mark}*" for mark in ("_", "-", " ", "")),
        *(f"*{before}{text}{mark}*" for mark in ("_", "-", ".", " ", "")),
    )
    exact = (f"{each}{end}" for end in (ending, f"[0-9]{ending}") for each in ("*", *patterns[1:]))
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    for pattern in (*patterns, *exact, *(f"{EXCEPT}{group.pattern}" for group in others)):
        if {entry for entry in entries if Request(files=pattern).fits(entry)} == set(files):
            return Group(tuple(files), pattern, word)
    return Group(tuple(files), None, word)


def different_names(names: Iterable[str]) -> bool:
    """Whether no two names are the same, whatever their case."""
    folded = [name.casefold() for name in names]
    return len(set(folded)) == len(folded)
