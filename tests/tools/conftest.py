"""The tools are scripts beside the package: their folder is put on the path, as it is when one is started."""

import sys

from tests.conftest import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "tools"))
