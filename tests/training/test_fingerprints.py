from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from monai_app.bundle.configs.templates import template_path
from monai_app.training.fingerprints import fingerprint, is_earlier, renamed, translated

CONFIGS = template_path("fibsem_unet_segmentation") / "configs"


def fingerprint_of(*names: str, **overrides: Any) -> dict[str, Any]:
    """The fingerprint that a running config sees, with files and ids laid over it as by MONAI."""
    parser = ConfigParser()
    parser.read_config([str(CONFIGS / f"{name}.yaml") for name in ("train", *names)])
    parser.update({name.replace("__", "::"): value for name, value in overrides.items()})
    parser["found"] = "$monai_app.training.fingerprint(stack='of this name')"
    found: dict[str, Any] = parser.get_parsed_content("found")
    return found


def test_places_reports_and_who_shares_the_work_decide_nothing() -> None:
    plain = fingerprint_of()
    assert plain["stack"] == "of this name"
    others = {
        "bundle_root": "/x",
        "dataset_dir": "/y",
        "device": "cuda",
        "workers": 3,
        "picture_interval": 1,
        "rank": 1,
    }
    assert fingerprint_of(**others) == plain
    assert fingerprint_of("multi_gpu_train", processes=2) == plain


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("augmentation__noise__std", 0.2),
        ("augmentation__flip_rows__spatial_axis", 1),
        ("train__preprocessing__transforms__5__ratios", [0, 1]),
        ("optimizer___target_", "torch.optim.SGD"),
        ("loss__terms__1__batch", False),
        ("ema__momentum", 0.1),
        ("patience", 3),
        ("amp", True),
        ("network_def__upsample", "pixelshuffle"),
        ("more", 1),
    ],
)
def test_anything_else_does(name: str, value: object) -> None:
    plain, changed = fingerprint_of(), fingerprint_of(**{name: value})
    differing = {key for key in plain.keys() | changed.keys() if plain.get(key) != changed.get(key)}
    assert differing == {name.replace("__", "::").replace(":::target_", "::_target_")}


def test_it_is_for_configs() -> None:
    with pytest.raises(RuntimeError, match="expressions of a config"):
        fingerprint()


def test_settings_of_earlier_versions_have_their_places() -> None:
    earlier = {"network": {"features": [4, 8]}, "zoom": 0.2, "elastic": 3.0, "rotate90": 0.0, "crop": [48, 48]}
    assert is_earlier(earlier)
    assert not is_earlier(fingerprint_of())
    now = translated(earlier)
    assert now == {
        "features": [4, 8],
        "augmentation::deform::scale_range": [0.2, 0.2],
        "augmentation::deform::magnitude_range": [0, 3.0],
        "augmentation::rotate90::prob": 0.0,
        "crop": [48, 48],
    }
    assert now.keys() - {"crop"} <= {*fingerprint_of(), "features"}
    assert renamed("seed", 3) == ("seed", 3)


def test_the_earlier_defaults_are_those_of_today(tmp_path: Path) -> None:
    plain = fingerprint_of()
    for name, value in {"deformed": 0.5, "rotation": 0.15, "zoom": 0.1, "elastic": 4.0, "rotate90": 0.0}.items():
        place, there = renamed(name, value)
        assert plain[place] == there
