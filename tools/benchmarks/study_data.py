"""Make the stacks of the published studies (``configs/studies/``), with the command line as a user would.

    python tools/benchmarks/study_data.py FOLDER --data ../shared/data

``cement.ome.zarr`` is the simulator's default sample, ``cement_1`` to ``cement_3`` are others of the same settings. Of
real images, which are looked for in the folder DATA:

- ``isbi2012/train_image.tif``, ``train_label.tif``: serial sections of a fly's nerve cord, ISBI 2012 challenge (Cardona
  et al. 2010, doi 10.1371/journal.pbio.1000502; Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142);
- ``nasa_ebc/SPLIT__NAME_image.tif``, ``SPLIT__NAME_label.tif``: single micrographs of coatings, with the oxide layer
  and cracks in it (Stuckner et al. 2022, doi 10.1038/s41524-022-00878-5).

A stack that is there is left as it is.
"""

import argparse
from pathlib import Path

from common import app

SEEDS = (0, 1, 2, 3)
"""Of the simulated samples; every phase occurs in their training slices, and in their test slices."""

ISBI2012 = """
name: isbi2012
voxel_nm: {{z: 50, y: 4, x: 4}}
detectors: {{TEM: {data}/train_image.tif}}
phases:
  - {{value: 1, name: cell interior, colour: "#d9d9d9"}}
  - {{value: 2, name: membrane, colour: "#0072b2"}}
annotations:
  source: {data}/train_label.tif
  mapping: {{0: cell interior, 1: membrane}}
  train: [5, 12, 20]
  test: [27]
"""

# Of the data's images for training there are four, of different coatings, which a random forest learns from in minutes.
# Its own three test images test, and six of its others, one of each further coating: a study draws whole micrographs,
# and needs four or more of them. Every class occurs in each. The size of a pixel is not published: 1 nm stands for it.
NASA = """
name: nasa_ebc
voxel_nm: {{z: 1, y: 1, x: 1}}
independent: true
detectors: {{SEM: {{source: {data}, files: "*_image.tif"}}}}
phases:
  - {{value: 1, name: background, colour: "#d9d9d9"}}
  - {{value: 2, name: oxide, colour: "#0072b2"}}
  - {{value: 3, name: crack, colour: "#d55e00"}}
annotations:
  source: {{source: {data}, files: "*_label.tif"}}
  mapping: {{0: background, 1: oxide, 2: crack}}
  unused: ignore
  train:
    - "train__040617#3_S0410018_image"
    - "train__050317#3_S0440017_image"
    - "train__070516#1_S1160020_image"
    - "train__070516#3_S2470007_image"
  test:
    - "test__040617#2_S127(2)0015_image"
    - "test__050317#3_S0440016_image"
    - "test__070516#1_S1160030_image"
    - "train__010417#4_S2480009_image"
    - "train__021519#3_1426C-100cyc0008_image"
    - "train__032919#10_100cyc0017_image"
    - "train__032919#6_100cyc0007_image"
    - "train__111418#4_1426_100Cyc0032_image"
    - "train__S879_062216#3-31cyc0030_image"
"""

REAL = {"isbi2012": ("isbi2012", ISBI2012), "nasa": ("nasa_ebc", NASA)}
"""Name of a stack -> folder of its images, and its description."""


def main() -> None:
    """Make all stacks that can be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the stacks go")
    parser.add_argument("--data", type=Path, help="folder with the real images; without it they are left out")
    arguments = parser.parse_args()
    for seed in SEEDS:
        print(simulated(arguments.folder, seed))
    for name in REAL if arguments.data else ():
        print(real(arguments.folder, name, arguments.data))


def simulated(folder: Path, seed: int) -> Path:
    """Simulate and ingest a sample."""
    name = f"cement_{seed}" if seed else "cement"
    store, sample = folder / f"{name}.ome.zarr", folder / f"{name}_sample"
    if not store.exists():
        app("simulate", sample, "--seed", seed, "--overwrite")
        app("ingest", sample / "sample.yaml", store)
    return store


def real(folder: Path, name: str, data: Path) -> Path:
    """Ingest real images that lie in a folder of ``data``."""
    store, description = folder / f"{name}.ome.zarr", folder / f"{name}.yaml"
    source, text = REAL[name]
    if not store.exists():
        folder.mkdir(parents=True, exist_ok=True)
        description.write_text(text.format(data=(data / source).absolute()), encoding="utf8")
        app("ingest", description, store)
    return store


if __name__ == "__main__":
    main()
