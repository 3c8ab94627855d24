"""Studies: stacks, folder, design, seeds."""

import tifffile
import yaml

from monai_app.stack import ingest
from tests.bad_input.row import Make, Place, Row, refused
from tests.bad_input.rows.descriptions import folder_at
from tests.bad_input.rows.train import another_called

DESIGN = {"variants": ["unet_ICE_1"], "seeds": [0], "epochs": 1}


def design(**changes: object) -> Make:
    def write(place: Place) -> None:
        (place.folder / "design.yaml").write_text(yaml.safe_dump({**DESIGN, **changes}), encoding="utf8")

    return write


def wrong(about: str, says: str, **changes: object) -> Row:
    return refused(about, "study STACK out --design design.yaml", says, make=design(**changes))


def fewer(about: str, says: str, *amounts: object) -> Row:
    return wrong(about, says, variants=["otsu_ICE_1"], labels={"variants": ["otsu_ICE_1"], "amounts": [*amounts]})


def begun_with_fewer_labels(place: Place) -> None:
    """Make the folder of a study with an amount of labels that the new design lacks."""
    folder_at("out")(place)
    labels = {"variants": ["unet_ICE_1"], "amounts": [1, 3]}
    (place.folder / "out" / "design.yaml").write_text(yaml.safe_dump({**DESIGN, "labels": labels}), encoding="utf8")
    design(labels={**labels, "amounts": [1]})(place)


def begun(place: Place) -> None:
    """Make the folder of a study that has begun."""
    folder_at("out")(place)
    (place.folder / "out" / "design.yaml").write_text(yaml.safe_dump(DESIGN), encoding="utf8")


def sixteen_bits(place: Place) -> None:
    """Make a second stack of the same images in 16 bit."""
    for path in place.copy("SAMPLE").glob("[IT]*/*.tif"):
        tifffile.imwrite(path, tifffile.imread(path).astype("uint16") * 257)
    ingest(place.folder / "sample" / "sample.yaml", place.folder / "other.ome.zarr")


def with_another(about: str, says: str, make: Make) -> Row:
    """A stack that does not fit the first one."""

    def both(place: Place) -> None:
        design(variants=["otsu_ICE+TLD_1"])(place)
        make(place)

    return refused(about, "study STACK other.ome.zarr out --design design.yaml", says, make=both)


ROWS = [
    refused("a folder and no stack", "study out", "STACK FOLDER"),
    refused("stacks and no folder", "study STACK STACK", "the study's folder comes last"),
    refused("a stack that does not exist", "study nowhere.ome.zarr out", "nowhere.ome.zarr"),
    refused("the same stack twice", "study STACK STACK out", "the same stack"),
    with_another(
        "a stack that lacks a detector",
        "needs detector 'TLD'",
        another_called("other.ome.zarr", ("{ICE: ICE, TLD: TLD}", "{ICE: ICE}")),
    ),
    with_another(
        "a stack whose detector is written otherwise",
        "including case",
        another_called("other.ome.zarr", ("{ICE: ICE, TLD: TLD}", "{ice: ICE, TLD: TLD}")),
    ),
    with_another(
        "a stack of other phases",
        "must agree",
        another_called("other.ome.zarr", ("1, name: pore", "1, name: void"), ("1: pore", "1: void")),
    ),
    with_another("a stack of another pixel type", "uint16", sixteen_bits),
    refused("a folder in the store", "study STACK STACK/out", "lies in the store"),
    refused("seeds that are not numbers", "study STACK out --seeds a", "--seeds 'a'"),
    refused("a seed twice", "study STACK out --seeds 1,1", "1 twice"),
    refused("no epochs", "study STACK out --epochs 0", "epochs"),
    refused("no jobs", "study STACK out --jobs 0", "--jobs"),
    refused("a cluster that is not an address", "study STACK out --cluster nowhere", "cluster 'nowhere'"),
    refused("a cluster without a name", "study STACK out --cluster ''", "cluster ''"),
    refused("a cluster and jobs", "study STACK out --jobs 2 --cluster tcp://127.0.0.1:1", "give one of them"),
    refused("a design that does not exist", "study STACK out --design nowhere.yaml", "nowhere.yaml"),
    wrong("no variants", "variants", variants=[]),
    wrong("a variant that does not exist", "no variant 'vnet'", variants=["vnet"]),
    wrong("a detector that the stack lacks", "needs detector 'SE'", variants=["unet_SE_1"]),
    wrong("a variant under two names", "are the same", variants=["unet_ice_1", "unet_ICE_1"]),
    wrong("a size that does not exist", "no size 'huge'", size="huge"),
    wrong("an unknown key", "unknown key 'epoch'", epoch=3),
    wrong("the number of epochs as a setting", "write epochs next to settings", settings={"max_epochs": 3}),
    wrong("an unknown setting", "nonsense", settings={"nonsense": 1}),
    wrong("more slices than the stack has", "slices 99", variants=["unet_ICE_99"]),
    wrong("an even number of slices", "4", variants=["forest_ICE_4"]),
    wrong("thresholds of several slices", "thresholds see one slice", variants=["otsu_ICE_3"]),
    wrong("sizes of unequal crops", "crop", variants=["unet_ICE_3", "sensor3d_ICE_3"], size="paper"),
    wrong("an artefact that does not exist", "unknown key 'curtains'", robustness={"curtains": [0.1]}),
    wrong("noise of more than the grey range", "robustness::noise", robustness={"noise": [2]}),
    wrong("strengths that do not ascend", "ascending", robustness={"noise": [0.2, 0.1]}),
    wrong("a strength twice", "give each once", robustness={"drift": [2, 2]}),
    wrong("a gain that changes nothing", "has no effect", robustness={"gain": [0.5, 1]}),
    wrong("a strength that is not a list", "robustness::noise", robustness={"noise": 0.1}),
    wrong("a negative drift", "robustness::drift", robustness={"drift": [-1]}),
    wrong("drift that no variant sees", "shifts neighbouring slices", robustness={"drift": [1]}),
    fewer("an amount of labels that is none", "'4:10%' is not an amount of labels", "4:10%"),
    fewer("all labels as an amount of them", "'all' is not an amount of labels", "all"),
    fewer("a number with a fraction as an amount of labels", "amounts", 1.5),
    fewer("no amounts of labels", "amounts"),
    fewer("an amount of labels twice", "1+3 twice", "1+3", "3+1"),
    fewer("labels of a slice that tests", "slice 6 of", 6),
    fewer("labels of all slices by their numbers", "are all training labels", "1+3+5"),
    fewer("so few blocks that a phase has no labels", "no pixel to train", "1:0.4%blocks"),
    fewer("more scribbles than the phases have room for", "of the labelled area", "all:60%scribbles"),
    wrong(
        "fewer labels of a variant that is not compared",
        "not one of the variants",
        labels={"variants": ["otsu_ICE_1"], "amounts": [1]},
    ),
    wrong("fewer labels among the variants", "under 'labels'", variants=["otsu_ICE_1@labels=1"]),
    refused(
        "fewer amounts of labels than the study has",
        "study STACK out --design design.yaml",
        "variants unet_ICE_1@labels=3, which are missing now",
        make=begun_with_fewer_labels,
    ),
    refused(
        "fewer seeds than the study has", "study STACK out --seeds 1", "seeds 0, which are missing now", make=begun
    ),
    refused("other epochs than the study has", "study STACK out --epochs 2", "epochs 1, and 2 is given", make=begun),
]
