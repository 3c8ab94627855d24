"""Documents that take long to read, or cannot be, are refused at once; whatever reads them."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.settings import read_json, read_overlays
from monai_app.errors import ConfigError
from monai_app.phantom import PhantomConfig
from monai_app.stack import SampleDescription
from monai_app.yamlfile import read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))
ATTACKS = {
    "bomb": BOMB,
    "merged": "a: &a {x: 1}\n" + BOMB.replace("a: &a [x, x, x, x, x, x, x, x, x]", "z: {<<: [*a, *a]}"),
    "itself": "name: &a [*a]\n",
    "chain": CHAIN,
    "brackets": "name: " + "[" * 20_000,
    "closed brackets": "name: " + "[" * 20_000 + "]" * 20_000,
    "hidden brackets": "name: " + "[ # ]\n  " * 20_000,
    "braces": "{a: " * 20_000,
    "dashes": "- " * 20_000 + "1",
    "keys": "? " * 20_000 + "1",
    "digits": "name: " + "9" * 5000,
    "hexadecimal": "name: 0x" + "f" * 50_000,
    "large": "name: [" + "1, " * 100_000 + "1]",
    "list as a key": "[a, b]: 1\n? {a: 1}\n: 2\n",
    "odd tags": "name: !!python/object/apply:os.system [true]\nx: !!int yes\ny: !!omap 3\nz: !!timestamp 5\n",
    "no day": "name: 2021-02-31",
}
READERS: dict[str, Callable[[Path], object]] = {
    "sample.yaml": SampleDescription.from_yaml,
    "phantom.yaml": PhantomConfig.from_yaml,
    "settings.yaml": lambda path: read_overlays([path]),
    "train.yaml": read_config,
    "metadata.json": read_config,
    "run.json": lambda path: read_json(path, ["stack"]),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_cannot_be_read_is_refused_in_a_line(attack: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(ATTACKS[attack])
    begun = time.process_time()
    with pytest.raises(ConfigError) as caught:
        READERS[name](path)
    assert time.process_time() - begun < 1
    told = str(caught.value)
    assert told.startswith(str(path))
    assert len(told) < 1500


def test_aliases_that_repeat_little_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {x: [1, 2]}\nb: {<<: *a, y: 3}\nc: [*a, *a]\nd: '" + "[" * 40 + "'\n")
    assert read_yaml(tmp_path / "a.yaml")["c"] == [{"x": [1, 2]}] * 2


def test_what_never_ends_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError, match="larger than 131072 bytes"):
        read_yaml(Path("/dev/zero"))
