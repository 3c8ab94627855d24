import re
from pathlib import Path

import pytest

from monai_app.cli.options import stacks_and_run, stand_ins
from monai_app.errors import ConfigError
from monai_app.stack import Stack

A, B, RUN = Path("a"), Path("b"), Path("run")


def test_the_run_folder_comes_last_or_is_named() -> None:
    assert stacks_and_run([A, RUN], None) == ([A], RUN)
    assert stacks_and_run([A], RUN) == ([A], RUN)
    assert stacks_and_run([A, B], RUN) == ([A, B], RUN)


def test_without_a_run_folder_it_is_asked_for(tiny_stack: Stack) -> None:
    for given, message in (
        ([A], "without a run folder; write STACK RUN"),
        ([A, B, RUN], "unclear which is the run folder"),
        ([A, tiny_stack.path], "is a store; give the run folder last, or with --run RUN"),
    ):
        with pytest.raises(ConfigError, match=message):
            stacks_and_run(given, None)


def test_detectors_take_parts_that_are_given_once() -> None:
    assert stand_ins(None) == {}
    assert stand_ins(["HAADF=SE", "ICE = in-lens"]) == {"HAADF": "SE", "ICE": "in-lens"}
    for wrong in ("SE", "=SE", "HAADF=", ""):
        with pytest.raises(ConfigError, match=re.escape(repr(wrong))):
            stand_ins([wrong])
    with pytest.raises(ConfigError, match="'HAADF' is also given 'SE'"):
        stand_ins(["HAADF=SE", "HAADF=BSE"])
