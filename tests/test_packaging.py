"""The package holds everything it needs, as a wheel and as a checkout."""

import configparser
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import monai_app
from monai_app.bundle.configs.templates import config_path, template_path
from monai_app.yamlfile import read_yaml
from tests.conftest import CHECKOUT


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg")
    return parser


def test_every_package_of_the_tree_is_listed() -> None:
    listed = set(setup_cfg()["options"]["packages"].split())
    tree = {".".join(path.parent.relative_to(CHECKOUT).parts) for path in CHECKOUT.glob("monai_app/**/__init__.py")}
    assert listed == tree | {"monai_app.share.bundles", "monai_app.share.configs"}


def test_a_checkout_uses_its_own_bundles_and_configs() -> None:
    assert template_path("fibsem_unet_segmentation") == CHECKOUT / "bundles" / "fibsem_unet_segmentation"
    assert config_path("variants", "unet_ice_1") == CHECKOUT / "configs" / "variants" / "unet_ice_1.yaml"


def test_a_wheel_carries_bundles_and_configs_and_finds_them(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"  # building leaves folders behind
    shutil.copytree(CHECKOUT, copy, ignore=shutil.ignore_patterns(".*", "build", "demo", "tests", "*.egg-info"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(copy)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    assert monai_app.__version__ in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    script = (
        "from monai_app.bundle.configs.templates import config_path, template_path\n"
        "root = template_path('fibsem_unet_segmentation')\n"
        "print(root)\n"
        "for name in ('train.yaml', 'evaluate.yaml', 'inference.yaml', 'metadata.json', 'logging.conf'):\n"
        "    assert (root / 'configs' / name).is_file(), name\n"
        "assert (root / 'LICENSE').is_file() and (root / 'docs' / 'README.md').is_file()\n"
        "from pathlib import Path\n"
        "import monai_app.inspection\n"
        "assert (Path(monai_app.inspection.__file__).parent / 'page.html').is_file()\n"
        "from monai_app.inference import Request\n"  # listed in a stub
        "from importlib.metadata import entry_points\n"
        "(plugin,) = entry_points(group='napari.manifest', name='monai-app')\n"
        "assert plugin.value == 'monai_app.napari:napari.yaml'\n"
        "assert (Path(monai_app.__file__).parent / 'napari' / 'napari.yaml').is_file()\n"
        "from monai_app.bundle.configs.templates import size_path\n"
        "from monai_app.bundle.configs.variants import read_variant, variant_names\n"
        "assert config_path('tasks', 'ingest').is_file() and len(variant_names()) == 9\n"
        "for name in variant_names():\n"
        "    assert size_path(read_variant(name).bundle, 'small').is_file()\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "site")}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert str(tmp_path / "site") in shown.stdout


def test_the_citation_names_this_version() -> None:
    citation = read_yaml(CHECKOUT / "CITATION.cff")
    assert (citation["version"], citation["license"]) == (monai_app.__version__, setup_cfg()["metadata"]["license"])


def test_bundle_requirements_are_the_tested_versions() -> None:
    """metadata.json names the versions that constraints.txt pins."""
    lines = (CHECKOUT / "constraints.txt").read_text().lower().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    for path in CHECKOUT.glob("bundles/*/configs/metadata.json"):
        metadata = json.loads(path.read_text())
        named = {
            "monai": metadata["monai_version"],
            "torch": metadata["pytorch_version"],
            "numpy": metadata["numpy_version"],
        }
        named |= metadata["required_packages_version"]
        assert named.pop("monai-app") == monai_app.__version__
        for name, version in named.items():
            assert pins[name] == version, name
