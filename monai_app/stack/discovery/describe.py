"""Writing a description of a discovered sample, with comments and questions."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from monai_app.io.grey import exact
from monai_app.names import printable
from monai_app.stack.discovery.discover import Discovery
from monai_app.stack.discovery.labels import LabelFacts
from monai_app.stack.ingestion.questions import MARK
from monai_app.stack.ingestion.source_description import SourceDescription
from monai_app.stack.ingestion.voxel_size import uncertain_size

_COLOURS = ("#20304f", "#c0b090", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#f0e442", "#0072b2")
"""Colours of phases, used cyclically."""

_NO_PHASE = (0, 255)
"""Values that programs use for unlabelled pixels."""

_HEAD = f"""# What monai-app init found. A line that begins with "{MARK}" is a question: answer it in the lines below,
# and remove it. All entries: monai-app settings --of sample
"""


def describe(found: Discovery, folder: Path, *, ask_for_phases: bool = False) -> str:
    """Write a description.

    Args:
        found: what was found.
        folder: the folder of the description; paths inside it are written relative to it.
        ask_for_phases: also if there are no labels, ask for the phases, which images to segment do not need.

    Returns:
        YAML. Missing information is a line that starts with ``# ?``; `ingest` refuses a description with such a line.
    """
    parts = (
        _HEAD,
        *(_asked(problem) for problem in found.problems),
        f"name: {_text(found.name)}",
        *_voxel_size(found),
        *_detectors(found, folder),
        *_grey(found),
        *_order(found),
        *_annotations(found, folder),
        *(_UNKNOWN_PHASES if ask_for_phases and not found.labels else ()),
        *(f"# not used: {_line(text)}" for text in found.left_out),
    )
    inside = rf"(?<![^\s'\"(]){re.escape(f'{folder}{os.sep}')}"  # paths in comments and questions too
    return re.sub(inside, "", "\n".join(parts)) + "\n"


_UNKNOWN_PHASES = (
    f"{MARK} Which phases are to be labelled? Uncomment and correct these lines; images that are only "
    "segmented need none.",
    "# phases:",
    *(
        f'#   - {{value: {value}, name: {name}, colour: "{colour}"}}'
        for value, name, colour in zip((1, 2), ("pore", "matrix"), _COLOURS, strict=False)
    ),
)


def questions(description: str) -> list[str]:
    """The questions of a description."""
    lines = (line.strip() for line in description.splitlines())
    return [line.removeprefix(MARK).strip() for line in lines if line.startswith(MARK)]


def _asked(text: str, indent: str = "") -> str:
    return f"{indent}{MARK} {_line(text)}"


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _text(text: str) -> str:
    """A text as YAML has it."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./+ -]*(?<! )", text) and text.casefold() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")


def _mapping(content: Mapping[str, str]) -> str:
    """Entries, which are YAML already, as a mapping."""
    return f"{{{', '.join(f'{key}: {value}' for key, value in content.items())}}}"


def _voxel_size(found: Discovery) -> list[str]:
    origins: dict[str, list[str]] = {}
    for axis, (_, where) in found.sizes.items():
        origins.setdefault(where, []).append(axis)
    lines = [f"# {', '.join(axes)}: {_line(where)}" for where, axes in origins.items()]
    missing = [axis for axis in "zyx" if axis not in found.sizes]
    if missing:
        what = {"z": "z (distance of two slices)", "y": "y (height of a pixel)", "x": "x (width of a pixel)"}
        axes = ", ".join(what[axis] for axis in missing)
        lines.append(_asked(f"No file contains the voxel size in nm along {axes}{uncertain_size(found.sources)}."))
    sizes = {axis: f"{found.sizes[axis][0]:.9g}" if axis in found.sizes else "" for axis in "zyx"}
    return [*lines, "voxel_nm: {" + ", ".join(f"{axis}: {size}" for axis, size in sizes.items()) + "}"]


def _source(entry: SourceDescription, folder: Path, more: Mapping[str, str]) -> str:
    given = {name: getattr(entry, name) for name in ("files", "channel", "page", "dataset")}
    chosen = {name: value for name, value in given.items() if value is not None}
    texts = {name: _text(value) if isinstance(value, str) else str(value) for name, value in chosen.items()}
    path = _text(_relative(entry.source, folder))
    entries = {"source": path, **texts, **more}
    return _mapping(entries) if len(entries) > 1 else path


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder) if path.is_relative_to(folder) else str(path)


def _detectors(found: Discovery, folder: Path) -> list[str]:
    lines = ["detectors:"]
    for name, unit in found.detectors.items():
        lines.append(f"  # {_line(unit.facts)}")
        if name in found.unnamed:
            lines.append(
                _asked(
                    f"What is the name of this detector? The files do not contain it; {name} is a placeholder.", "  "
                )
            )
        own = (
            {"grey": _mapping(_range(*found.grey_ranges[name]))} if name in found.grey_ranges and _differ(found) else {}
        )
        lines.append(f"  {_text(name)}: {_source(unit.entry, folder, own)}")
    return lines


def _differ(found: Discovery) -> bool:
    """Whether the detectors need separate ranges."""
    ranges = found.grey_ranges
    return 0 < len(ranges) < len(found.detectors) or len(set(ranges.values())) > 1


def _range(low: float, high: float) -> dict[str, str]:
    return {"from": f"[{exact(low)}, {exact(high)}]", "to": "uint16"}


def _grey(found: Discovery) -> list[str]:
    inverted, lines = [name for name, unit in found.detectors.items() if unit.inverted], list[str]()
    content: dict[str, str] = {}
    ranges = found.grey_ranges
    if _differ(found):
        each = "; ".join(f"of {name} from {exact(low)} to {exact(high)}" for name, (low, high) in ranges.items())
        lines.append(
            _asked(f"Values are {each}: which become black and white? They are given as 'grey' of the detectors above.")
        )
    elif ranges:
        low, high = next(iter(ranges.values()))
        lines.append(_asked(f"Values are from {exact(low)} to {exact(high)}: which become black and white?"))
        content |= _range(low, high)
    if inverted and len(inverted) < len(found.detectors):
        lines.append(
            _asked(
                f"Files of {', '.join(inverted)} say that 0 is white, those of the others do not: should only these "
                "be inverted? If so, give them their own 'grey: {inverted: true}': 'ICE: {source: ..., grey: ...}'."
            )
        )
    elif inverted:
        lines.append(_asked("Files say that 0 is white: should the grey values be inverted, so that 0 is black?"))
        content["inverted"] = "true"
    if content:
        lines.append(f"grey: {_mapping(content)}")
    return lines


def _order(found: Discovery) -> list[str]:
    if found.independent:
        return ["independent: true"]
    if found.index is None or not found.index.gaps:
        return []
    return [
        _asked(
            f"Slices {found.index.missing()} are missing of {found.index.numbers[0]} to {found.index.numbers[-1]}: "
            "are they missing in the sample (keep), or are only the numbers not consecutive (ignore)?"
        ),
        "numbers: {gaps: keep}",
    ]


def _annotations(found: Discovery, folder: Path) -> list[str]:
    if not found.labels:
        return []
    facts, lines = found.labels[0], list[str]()
    if len(found.labels) > 1:
        others = ", ".join(_relative(each.unit.entry.source, folder) for each in found.labels)
        lines.append(_asked(f"Which of these holds the annotations: {others}? The first one is entered here."))
    lines += [_asked(problem) for problem in facts.problems]
    values = _phase_values(facts)
    return [*lines, *_phases(facts, values), *_source_of_labels(facts, values, folder)]


def _phase_values(facts: LabelFacts) -> list[int]:
    """The values that are most likely phases."""
    values = [value for value in facts.counts if value not in _NO_PHASE]
    return values if len(values) > 1 else [value for value in facts.counts if value != _NO_PHASE[1]] or values


def _phases(facts: LabelFacts, values: Sequence[int]) -> list[str]:
    lines = ["phases:"]
    if any(value not in facts.names for value in values):
        lines.append(_asked(f"What are the names of the phases? The values are {facts.shares}.", "  "))
    for number, value in enumerate(values, 1):
        name = _text(_name(facts, value))
        lines.append(f'  - {{value: {number}, name: {name}, colour: "{_COLOURS[(number - 1) % len(_COLOURS)]}"}}')
    return lines


def _name(facts: LabelFacts, value: int) -> str:
    return facts.names.get(value, f"phase_{value}").replace("#", "")


def _source_of_labels(facts: LabelFacts, values: Sequence[int], folder: Path) -> list[str]:
    rest = [value for value in facts.counts if value not in values]
    asked = f"Which value is which phase, and which is not a label? Here {_listed(values)} are phases"
    train, test = (facts.slices[:-1], facts.slices[-1:]) if len(facts.slices) > 1 else (facts.slices, ())
    return [
        "annotations:",
        f"  # {_line(facts.facts)}",
        f"  source: {_source(facts.unit.entry, folder, {})}",
        _asked(f"{asked} and {_listed(rest)} unlabelled." if rest else f"{asked}.", "  "),
        "  mapping: {" + ", ".join(f"{value}: {_text(_name(facts, value))}" for value in values) + "}",
        f"  unlabelled: [{', '.join(map(str, rest))}]",
        *(["  slices: []"] if facts.problems and not facts.unit.source.is_folder else []),
        _asked("Which of the labelled slices are for training, and which for testing?", "  "),
        f"  train: [{_ranges(train)}]",
        f"  test: [{_ranges(test)}]",
        *(
            ["  unused: ignore # files without any label"]
            if facts.unit.source.is_folder and len(facts.unit.source) > len(facts.slices)
            else []
        ),
    ]


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values)) or "none"


def _ranges(slices: Sequence[int]) -> str:
    """Slices as a list, or as a range where they are many and evenly spaced."""
    step = slices[1] - slices[0] if len(slices) > 1 else 1
    if len(slices) > 4 and list(slices) == list(range(slices[0], slices[-1] + 1, step)):
        return f'"{slices[0]}:{slices[-1] + 1}:{step}"' if step > 1 else f'"{slices[0]}:{slices[-1] + 1}"'
    return ", ".join(map(str, slices))
