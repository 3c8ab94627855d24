"""Trainings: settings, stacks, run folders and the weights to begin with."""

import json
import shutil

from monai_app.bundle.configs.templates import template_path
from monai_app.stack import ingest
from tests.bad_input.row import Make, Place, Row, edit_json, edit_text, in_turn, refused, taken
from tests.bad_input.rows.descriptions import CLINKER, MAPPING, PHASES, TRAIN, file_at, folder_at
from tests.conftest import TINY

# What `TINY` says, in the words of a command line; rows add to it.
SMALL = " ".join(f"--set {name}='{value}'" for name, value in TINY.items())
LINE = f"train STACK run2 {SMALL}"
DRY = "--dry-run"


def setting(text: str, *says: str) -> Row:
    """A setting out of its bounds, or of another kind."""
    return refused(f"`--set {text}`", f"train STACK run2 --set '{text}'", *(says or (text.partition("=")[0],)))


def option(text: str, *says: str) -> Row:
    return refused(f"`{text}`", f"{LINE} {text}", *says)


def another(*changes: tuple[str, str], text: str = "") -> Make:
    """Make a stack from a sample with another description."""

    def make(place: Place) -> None:
        description = place.copy("SAMPLE") / "sample.yaml"
        for old, new in changes:
            edit_text(description, old, new)
        ingest(description, place.folder / "tiny.ome.zarr")

    return make


def another_called(name: str, *changes: tuple[str, str]) -> Make:
    """Make a second stack from a sample with another description."""

    def make(place: Place) -> None:
        another(*changes)(place)
        (place.folder / name).parent.mkdir(exist_ok=True)
        (place.folder / "tiny.ome.zarr").rename(place.folder / name)

    return make


same_name = another_called("again/tiny.ome.zarr", ("{ICE: ICE, TLD: TLD}", "{TLD: TLD, ICE: ICE}"))
one_detector = another_called("other.ome.zarr", ("{ICE: ICE, TLD: TLD}", "{ICE: ICE}"))


def in_another_order(place: Place) -> None:
    another_called(
        "first.ome.zarr",
        ("1, name: pore", "1, name: other"),
        ("2, name: hydrate", "2, name: pore"),
        ("other", "hydrate"),
    )(place)
    place.copy("STACK")


def without_annotations(place: Place) -> None:
    description = place.copy("SAMPLE") / "sample.yaml"
    text = description.read_text()
    description.write_text(text[: text.index("phases:")])
    ingest(description, place.folder / "tiny.ome.zarr")


def prepared(place: Place) -> None:
    assert (place.folder / "run2" / "run.json").is_file()
    assert not (place.folder / "run2" / "models" / "model.pt").exists()


def run_copied(place: Place) -> None:
    place.copy("RUN").rename(place.folder / "run2")


def continued(place: Place) -> None:
    assert json.loads((place.folder / "run2/run.json").read_text())["continuations"][0]["max_epochs"] == 4


def linked_stack(place: Place) -> None:
    (place.folder / "link").symlink_to(place.goods / "tiny.ome.zarr")


def stack_renamed(name: str) -> Make:
    return lambda place: place.copy("STACK").rename(place.folder / name)


def made_from(change: object) -> Make:
    """Make a run folder with another ``run.json``."""

    def make(place: Place) -> None:
        run_copied(place)
        (place.folder / "run2" / "run.json").write_text(str(change))

    return make


def bundle_with(name: str, text: str) -> Make:
    def make(place: Place) -> None:
        shutil.copytree(template_path("fibsem_unet_segmentation"), place.folder / "bundle")
        (place.folder / "bundle" / name).write_text(text)

    return make


COUNTS = ("max_epochs", "steps_per_epoch", "batch_size", "patience", "val_interval", "picture_interval")

ROWS = [
    *(setting(f"{name}=0") for name in COUNTS),
    *(setting(f"{name}=100000000") for name in COUNTS),
    setting("max_epochs=1000000000000000000000"),
    setting("max_epochs=1.5"),
    setting("max_epochs=many"),
    setting("max_epochs=null"),
    setting("max_epochs=true"),
    setting("max_epochs=[2]"),
    setting("max_epochs=.inf"),
    setting("max_epochs="),
    setting("batch_size=-1"),
    setting("batch_size=8.0"),
    setting("slices=0"),
    setting("slices=2"),
    setting("slices=-1"),
    setting("slices=99"),
    setting("slices=1001"),
    setting("slices=three"),
    setting("seed=-1"),
    setting("seed=4294967296"),
    setting("seed=12345678901234567890123"),
    setting("seed=0.5"),
    setting("crop=48"),
    setting("crop=[48]"),
    setting("crop=[48, 48, 48]"),
    setting("crop=[[48, 48], [48, 48]]"),
    setting("crop=[0, 48]"),
    setting("crop=[48, -48]"),
    setting("crop=[48.5, 48]"),
    setting("crop=[1000000, 48]"),
    setting("crop=[50, 50]", "crop"),
    setting("crop=all"),
    setting("window=[0, 0]"),
    setting("window=[20000, 64]"),
    option("--set 'window=[65, 64]'", "window"),
    setting("learning_rate=0"),
    setting("learning_rate=-0.1"),
    setting("learning_rate=1e308"),
    setting("learning_rate=.nan"),
    setting("learning_rate=.inf"),
    setting("learning_rate=fast"),
    setting("learning_rate=[0.1]"),
    setting("weight_decay=-1"),
    setting("weight_decay=1000"),
    setting("max_gradient_norm=-1"),
    setting("max_gradient_norm=1.0e+300"),
    setting("dice_weight=-1"),
    setting("dice_weight=1.0e+9"),
    setting("ema_momentum=0"),
    setting("ema_momentum=1"),
    setting("ema_momentum=5"),
    setting("validation_fraction=0"),
    setting("validation_fraction=1"),
    setting("validation_fraction=25"),
    setting("validation_block=0"),
    setting("validation_block=100000"),
    setting("workers=-1"),
    setting("workers=5000"),
    setting("dropout=1"),
    setting("dropout=-0.1"),
    setting("features=[]"),
    setting("features=[0, 4, 4, 4, 4, 4]"),
    setting("features=[1000000, 4, 4, 4, 4, 4]"),
    setting("features=8"),
    setting("amp=maybe"),
    setting("detectors=[]"),
    setting("detectors=[ICE, ICE]"),
    setting("detectors=ICE"),
    setting("detectors=[5]"),
    setting("augmentation::deform::scale_range=[5, 5]"),
    setting("augmentation::deform::scale_range=zoom"),
    setting("augmentation::deform::prob=7"),
    setting("augmentation::deform::rotate_range=100"),
    setting("augmentation::deform::spacing=[0, 0]"),
    setting("augmentation::gain::prob=-1"),
    setting("augmentation::gain::factors=.nan"),
    option("--set augmentation::nothing::prob=1", "nothing"),
    setting("augmentation=none"),
    setting("loss=none"),
    setting("scaling_of=each"),
    setting("balanced=often"),
    setting("training_stacks=[]", "training_stacks"),
    setting("stand_ins={ICE: SE}", "--detector"),
    setting("phases=[1, 2]"),
    setting("scaling=1"),
    setting("stride=16"),
    setting("network=UNet"),
    setting("device=cpu", "--device"),
    setting("pretrained=true", "--from"),
    setting("continues=2", "--epochs"),
    setting("minutes=0"),
    setting("minutes=soon"),
    setting("pace=[12, 37]"),
    setting("pace=[[0, 37]]"),
    setting("zoom=5", "scale_range"),
    setting("deformed=7", "prob"),
    setting("learning_rat=0.1", "'learning_rate'"),
    setting("train::trainer::max_epochs=@max_epochs", "@max_epochs"),
    setting("seed=$__import__('os').getpid()", "seed"),
    refused("`--set learning_rate`", "train STACK run2 --set learning_rate", "learning_rate"),
    refused("`--set =5`", "train STACK run2 --set =5", "=5"),
    refused("`--set 'crop=[1'`", "train STACK run2 --set 'crop=[1'", "crop=[1"),
    option("--quiet --verbose", "give one of them"),
    option("--epochs 0", "max_epochs: 0"),
    option("--epochs 1e21", "--epochs"),
    option("--epochs 1000000000000000000000", "max_epochs"),
    option("--epochs -1", "max_epochs: -1"),
    option("--epochs two", "--epochs"),
    option("--minutes 0", "minutes 0", "above 0"),
    option("--minutes -5", "minutes -5"),
    option("--minutes nan", "minutes nan"),
    option("--minutes 1e9", "minutes 1e+09", "100000"),
    option("--minutes ten", "--minutes"),
    option("--minutes 5", "minutes 5 and max_epochs 2"),
    refused("`--minutes` with `--epochs`", "train STACK run2 --minutes 5 --epochs 3", "minutes 5 and max_epochs 3"),
    option("--slices 2", "slices: 2"),
    option("--slices 9", "slices 9"),
    option("--seed -1", "seed: -1"),
    option("--detectors SE", "'SE'"),
    option("--detectors ''", "detector ''"),
    option("--detectors ICE,ICE", "detectors"),
    option("--detectors ICE,", "''"),
    option("--size huge", "huge"),
    option("--size auto", "--minutes"),
    option("--variant unet", "unet"),
    option("--variant unet_SE_3", "'SE'", "variant unet_ICE+TLD_3"),
    option("--variant vnet_ICE_3", "vnet_ICE_3"),
    option("--variant unet_ice_3 --detectors TLD", "detectors"),
    option("--variant unet_ice_3 --bundle fibsem_sensor3d_segmentation", "unet_ice_3"),
    option("--bundle vnet", "vnet"),
    option("--bundle STACK", "tiny.ome.zarr"),
    option("--processes 0", "processes 0"),
    option("--processes -1", "processes -1"),
    option("--processes 5000", "processes 5000"),
    option("--processes 3", "batch_size", "3"),
    option("--processes 2 --device cpu", "--device) cpu"),
    option("--device gpu", "gpu"),
    option("--device cuda:99", "cuda:99"),
    option("--tracking wandb", "wandb"),
    option("--from nowhere", "nowhere"),
    option("--from STACK", "tiny.ome.zarr"),
    option("--from ZIP", "model.zip"),
    refused("`--from` a run that was not trained", f"{LINE} --from bundle", "bundle", make=bundle_with("LICENSE", "")),
    refused(
        "`--from` a run whose weights are a text",
        f"{LINE} --from RUN",
        "model.pt",
        make=lambda place: (place.copy("RUN") / "models/model.pt").write_text("weights"),
    ),
    refused(
        "`--from` a run whose weights end too early",
        f"{LINE} --from RUN",
        "model.pt",
        make=lambda place: (path := place.copy("RUN") / "models/model.pt").write_bytes(path.read_bytes()[:999]),
    ),
    refused(
        "`--from` a run whose metadata are not JSON",
        f"{LINE} --from RUN",
        "metadata.json",
        make=lambda place: (place.copy("RUN") / "configs/metadata.json").write_text("{"),
    ),
    refused(
        "`--from` a run whose metadata say nothing of the model",
        f"{LINE} --from RUN",
        "metadata.json",
        make=lambda place: edit_json(
            place.copy("RUN") / "configs/metadata.json", lambda content: content.pop("model_description") and content
        ),
    ),
    refused("a stack that does not exist", "train nowhere.ome.zarr run2", "nowhere.ome.zarr"),
    refused("a stack that is a file", "train SAMPLE/sample.yaml run2", "sample.yaml"),
    refused("a folder of images in place of a stack", "train SAMPLE run2", "sample"),
    refused("a run folder in place of a stack", "train RUN run2", "run"),
    refused("no run folder", "train STACK", "run"),
    refused("a crop larger than the slices", "train STACK run2 --set 'crop=[256, 256]'", "crop"),
    refused("a `val_interval` longer than the training", f"{LINE} --set val_interval=9", "val_interval 9"),
    refused(
        "too many steps for memory", f"{LINE} --set steps_per_epoch=100000 --set batch_size=4096", "steps_per_epoch"
    ),
    refused("a stack without annotations", LINE, "has no phases", make=without_annotations),
    refused(
        "a stack with one phase",
        LINE,
        "one phase",
        make=another(
            (PHASES, "phases:\n  - {value: 1, name: pore, colour: '#20304f'}\n"),
            (MAPPING, "mapping: {1: pore, 2: pore, 3: pore}"),
        ),
    ),
    refused(
        "a stack whose slices all test", LINE, "train", make=another((f"{TRAIN}\n  test: [6]", "test: [1, 3, 5, 6]"))
    ),
    refused(
        "a phase with `#` in its name",
        LINE,
        "#",
        make=another(
            (CLINKER, '{value: 3, name: "a #3", colour: "#d55e00"}'),
            (MAPPING, 'mapping: {1: pore, 2: hydrate, 3: "a #3"}'),
        ),
    ),
    refused("several stacks, and no `--run`", "train STACK STACK run2", "--run"),
    refused("one stack twice", f"train STACK STACK --run run2 {SMALL}", "tiny.ome.zarr", "same stack"),
    refused(
        "two stacks of one name",
        f"train STACK again/tiny.ome.zarr --run run2 {SMALL}",
        "again/tiny.ome.zarr",
        "rename",
        make=same_name,
    ),
    refused(
        "two stacks whose phases have another order",
        f"train tiny.ome.zarr first.ome.zarr --run run2 {SMALL}",
        "first.ome.zarr",
        "'mapping'",
        make=in_another_order,
    ),
    refused(
        "a second stack that lacks a detector",
        f"train STACK other.ome.zarr --run run2 {SMALL}",
        "--detectors ICE",
        make=one_detector,
    ),
    refused("a run folder in the store", "train STACK STACK/run", "tiny.ome.zarr"),
    refused("a run folder in the store's labels", f"train STACK STACK/labels/run {SMALL}", "tiny.ome.zarr"),
    refused("the store as the run folder", f"train STACK STACK {SMALL}", "tiny.ome.zarr"),
    refused(
        "the store as the run folder, with `--overwrite`", f"train STACK STACK {SMALL} --overwrite", "tiny.ome.zarr"
    ),
    refused("a run folder that is a file", LINE, "run2", make=file_at("run2")),
    refused("`--overwrite` of a file", f"{LINE} --overwrite", "run2", make=file_at("run2")),
    refused("a run folder that holds other things", LINE, "run2", make=folder_at("run2")),
    refused("`--overwrite` of a folder that holds other things", f"{LINE} --overwrite", "run2", make=folder_at("run2")),
    refused("a run folder below a file", f"train STACK file/run {SMALL}", "file", make=file_at("file")),
    refused("a run folder whose name is too long", f"train STACK {'r' * 300} {SMALL}", "rrr"),
    refused("an empty run folder's name", f"train STACK '' {SMALL}", "exists"),
    refused(
        "a finished run with other settings",
        f"{LINE} --set learning_rate=0.5",
        "learning_rate",
        "--overwrite",
        make=run_copied,
    ),
    refused("a finished run with fewer epochs", f"{LINE} --epochs 1", "2 epochs", "give more", make=run_copied),
    refused(
        "a finished run with more epochs and another seed",
        f"{LINE} --epochs 4 --seed 1",
        "seed",
        "--from",
        make=run_copied,
    ),
    taken("a finished run with more epochs", f"{LINE} {DRY} --epochs 4", continued, make=run_copied),
    refused(
        "a run that was stopped, with more epochs",
        f"{LINE} --epochs 4",
        "--epochs 2",
        "--epochs 4",
        make=in_turn(run_copied, lambda place: (place.folder / "run2/models/last.ckpt").unlink()),
    ),
    refused("a run whose `run.json` is empty", LINE, "run.json", make=made_from("")),
    refused("a run whose `run.json` is a list", LINE, "run.json", make=made_from("[]")),
    refused("a run whose `run.json` lacks the settings", LINE, "run.json", make=made_from("{}")),
    refused(
        "a run whose `run.json` has a number for the settings", LINE, "run.json", make=made_from('{"settings": 5}')
    ),
    taken(
        "a run folder with spaces, umlauts and `#`",
        f"train STACK 'Lauf Süd #3' {SMALL} {DRY}",
        lambda place: (place.folder / "Lauf Süd #3/run.json").stat(),
    ),
    taken(
        "a link to a stack, and slashes at the ends", f"train link/ run2/ {SMALL} {DRY}", prepared, make=linked_stack
    ),
    taken("`--from` a run of the same network", f"{LINE} {DRY} --from RUN", prepared),
]
