"""Copy what the bundles share from the U-Net's bundle, the original, into Sensor-3D's.

A bundle must be whole in itself: people copy it, MONAI Label reads one file of it. So the bundles repeat each other,
and this script does the repeating: all of train.yaml and inference.yaml but the section `its network`, and whole files.

    python tools/share_bundles.py          # after a change to the U-Net's bundle
    python tools/share_bundles.py --check  # say what differs and end with 1; the tests do this
"""

import argparse
import re
import sys
from pathlib import Path

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"
ORIGINAL = BUNDLES / "fibsem_unet_segmentation"
COPIES = (BUNDLES / "fibsem_sensor3d_segmentation",)
WHOLE = (
    "LICENSE",
    "configs/evaluate.yaml",
    "configs/logging.conf",
    "configs/multi_gpu_evaluate.yaml",
    "configs/multi_gpu_train.yaml",
)
BUT_FOR_THE_NETWORK = ("configs/train.yaml", "configs/inference.yaml")


def main() -> None:
    """Copy, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, end with 1 where something differs")
    check = parser.parse_args().check
    differing = [path for bundle in COPIES for path in update(bundle, check)]
    for path in differing:
        print(f"{'differs' if check else 'updated'}: {path}")
    sys.exit(bool(differing) and check)


def update(bundle: Path, check: bool) -> list[Path]:
    """Bring a bundle's shared parts up to date and return the files that were not."""
    wanted = {bundle / name: (ORIGINAL / name).read_text(encoding="utf8") for name in WHOLE}
    for name in BUT_FOR_THE_NETWORK:
        wanted[bundle / name] = with_network_of((ORIGINAL / name).read_text(encoding="utf8"), bundle / name)
    differing = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf8") != text]
    if not check:
        for path in differing:
            path.write_text(wanted[path], encoding="utf8")
    return differing


def with_network_of(text: str, config: Path) -> str:
    """Replace the section `its network` of a config's text by that of another config."""
    own = sections(config.read_text(encoding="utf8"))
    (network,) = [part for part in own if part.startswith("# ---- its network")]
    return "".join(network if part.startswith("# ---- its network") else part for part in sections(text))


def sections(text: str) -> list[str]:
    """Split a config at its headings `# ---- ...`."""
    return re.split(r"^(?=# ---- )", text, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
