"""The tools are scripts beside the package: their folders are put on the path, as theirs is when one is started."""

import sys

from tests.conftest import CHECKOUT

sys.path[:0] = [str(CHECKOUT / "tools" / name) for name in ("", "benchmarks", "documentation")]
