"""Run a module as a program, and write what its imports cost, by library: memory that becomes resident, and seconds.

What a module imports is not its own cost but that of what it imports, and a library is everything below one name. It
costs whoever imports it first. Nothing but the standard library is imported here, and little of it.

    python tools/benchmarks/import_costs.py costs.json monai_app --help
"""

import importlib.abc
import importlib.machinery
import json
import os
import runpy
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

_Result = TypeVar("_Result")

_PAGE, _STATM = os.sysconf("SC_PAGE_SIZE"), Path("/proc/self/statm")


class Costs:
    """Bytes and seconds of every library.

    Attributes:
        libraries: name -> bytes, seconds.
    """

    def __init__(self) -> None:
        self.libraries: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._within: list[list[float]] = []  # what the modules cost that a module imports

    def measured(self, name: str, load: Callable[[], _Result]) -> _Result:
        """Load a module, or a part of it."""
        before = _now()
        self._within.append([0.0, 0.0])
        try:
            return load()
        finally:
            inner, cost = self._within.pop(), [after - start for after, start in zip(_now(), before, strict=True)]
            library = self.libraries[name.partition(".")[0]]
            for place in range(2):
                library[place] += cost[place] - inner[place]
                if self._within:
                    self._within[-1][place] += cost[place]


class _Loader(importlib.abc.Loader):
    """Loads as another loader does, whose place it leaves to it."""

    def __init__(self, loader: Any, costs: Costs) -> None:
        self._loader, self._costs = loader, costs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._costs.measured(spec.name, lambda: self._loader.create_module(spec))
        return made

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._costs.measured(module.__name__, lambda: self._loader.exec_module(module))


class Finder(importlib.abc.MetaPathFinder):
    """Finds what the other finders find, and measures how it is loaded."""

    def __init__(self, costs: Costs) -> None:
        self._costs = costs

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Ask the finders that stand behind this one."""
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self._costs)
                return spec
        return None


def _now() -> tuple[float, float]:
    """Resident bytes, and seconds of a clock."""
    return int(_STATM.read_bytes().split()[1]) * _PAGE, time.perf_counter()


def main() -> None:
    """Run the module that the command line names."""
    target, module, *words = sys.argv[1:]
    costs = Costs()
    sys.meta_path.insert(0, Finder(costs))
    sys.argv, sys.path[0] = [module, *words], str(Path.cwd())  # as with ``python -m``
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        found = {
            name: {"mb": round(size / 1e6, 2), "seconds": round(seconds, 3)}
            for name, (size, seconds) in sorted(costs.libraries.items(), key=lambda each: -each[1][0])
        }
        Path(target).write_text(json.dumps({"libraries": found}), encoding="utf8")


if __name__ == "__main__":
    main()
