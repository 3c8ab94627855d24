"""Write the bundles: `configs/base/` with each network of `configs/networks/` filled in.

A bundle must be whole in itself, because people copy it and MONAI Label reads one file of it. So what the bundles
share is kept once, and this script writes each of them in full. A new network is one file in `configs/networks/` and
one size in `configs/sizes/BUNDLE/`.

    python tools/make_bundles.py          # after a change to configs/base/ or configs/networks/
    python tools/make_bundles.py --check  # name what differs and end with 1; the tests do this
"""

import argparse
import json
import re
import sys
import textwrap
from pathlib import Path
from string import Template
from typing import Any

from monai_app.bundle.checks import check_network
from monai_app.bundle.run_folder import describe_model
from monai_app.yamlfile import read_yaml

CHECKOUT = Path(__file__).resolve().parents[1]
HEADING = "\n# ---- its network"
SAME = ("evaluate.yaml", "multi_gpu_train.yaml", "multi_gpu_evaluate.yaml", "logging.conf")
PAGE = {  # of a network without a page of its own
    "network": "The network is $name, with the settings in `configs/train.yaml`.",
    "training": "Hardware and time were not measured.",
    "performance": "Not measured.",
    "limits": "",
}


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, end with 1 where something differs")
    check = parser.parse_args().check
    files = wanted(CHECKOUT).items()
    differing = {path: text for path, text in files if not path.is_file() or path.read_text() != text}
    for path, text in differing.items():
        print(f"{'differs' if check else 'updated'}: {path}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    sys.exit(bool(differing) and check)


def wanted(checkout: Path) -> dict[Path, str]:
    """Return the files of all bundles of a checkout and what they must hold."""
    return {
        checkout / "bundles" / bundle_name(network) / name: text
        for network in sorted((checkout / "configs" / "networks").glob("*.yaml"))
        for name, text in bundle_files(network, checkout).items()
    }


def bundle_name(network: Path) -> str:
    """Return the name of a network's bundle."""
    return f"fibsem_{network.stem}_segmentation"


def bundle_files(network: Path, checkout: Path) -> dict[str, str]:
    """Return a bundle's files by their paths inside it.

    Args:
        network: file of `configs/networks/`: a mapping `about`, then under a heading the section of both configs.
        checkout: where `configs/base/` and the licence are.
    """
    base, about = checkout / "configs" / "base", read_yaml(network)["about"]
    files = {"LICENSE": (checkout / "LICENSE").read_text()}
    files |= {f"configs/{name}": (base / name).read_text() for name in SAME}
    _, section = network.read_text().split(HEADING, 1)
    for name in ("train.yaml", "inference.yaml"):
        before, after = (base / name).read_text().split(HEADING, 1)
        files[f"configs/{name}"] = f"{before}{HEADING}{section.rstrip()}{after}"
    document = metadata((base / "metadata.json").read_text(), about, network, base)
    files["configs/metadata.json"] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    files["docs/README.md"] = page((base / "README.md").read_text(), about, network, document)
    return files


def metadata(template: str, about: dict[str, Any], network: Path, base: Path) -> dict[str, Any]:
    """Return metadata.json: the base's, with the network's name, texts and scores, and the model as shipped."""
    document = json.loads(Template(template).substitute(about))
    document["references"] = sorted((*document["references"], *about.get("references", ())))
    if "eval_metrics" in about:
        document["eval_metrics"] = about["eval_metrics"]
    config = {**read_yaml(base / "train.yaml"), **read_yaml(network)}
    describe_model(document, check_network(config))
    return document


def page(template: str, about: dict[str, Any], network: Path, document: dict[str, Any]) -> str:
    """Return the bundle's README: the base's, with the sections of the network's page."""
    own, path = PAGE, network.with_suffix(".md")
    if path.is_file():
        _, *parts = re.split(r"^# (\w+)\n", path.read_text(), flags=re.MULTILINE)
        own = own | {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
    lists = {"stride": document["model_description"]["stride"], "references": references(document["references"])}
    sections = {name: Template(text).substitute(about) for name, text in own.items()}
    return Template(template).substitute(about, **lists, **sections)


def references(texts: list[str]) -> str:
    """Return a Markdown list."""
    return "\n".join(textwrap.fill(text, 120, initial_indent="- ", subsequent_indent="  ") for text in texts)


if __name__ == "__main__":
    main()
