from pathlib import Path

import pytest

from monai_app.errors import ConfigError
from monai_app.export.publish import export_run
from monai_app.inference import check_export
from monai_app.phantom import PhantomConfig, write_sample
from monai_app.stack import Stack
from monai_app.stack.places import check_outside_stores


def test_a_place_inside_a_store_is_refused_also_behind_a_link(tiny_stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tiny_stack.path / "labels")
    for place in (tiny_stack.path / "new", tiny_stack.path / "0" / "deep" / "new", tmp_path / "link" / "new"):
        with pytest.raises(ConfigError, match=f"lies in the store {tiny_stack.path}; choose a place outside it"):
            check_outside_stores(place)
    check_outside_stores(tmp_path / "new")
    check_outside_stores(tiny_stack.path.parent / "new")


def test_nothing_is_written_into_a_store_that_is_no_part_of_it(tiny_stack: Stack, tmp_path: Path) -> None:
    before = sorted(tiny_stack.path.rglob("*"))
    with pytest.raises(ConfigError, match="lies in the store"):
        check_export(str(tiny_stack.path / "labels" / "tiffs"), overwrite=False)
    with pytest.raises(ConfigError, match="lies in the store"):
        export_run(tmp_path, target=tiny_stack.path / "model.ts")
    with pytest.raises(ConfigError, match="lies in the store"):
        write_sample(PhantomConfig(slices=5, rows=16, columns=16), tiny_stack.path / "sample")
    assert sorted(tiny_stack.path.rglob("*")) == before
