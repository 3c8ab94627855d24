"""Reports: what they are made of, whether it belongs together, and the files for them."""

import numpy as np

from monai_app.quantities import MEASURES, StoredLabels, quantify
from monai_app.quantities.report.folder import write_folder
from monai_app.stack import Stack
from tests.bad_input.row import Make, Place, edit_text, in_turn, refused, taken
from tests.bad_input.rows.descriptions import file_at, folder_at

PAGE = "-o out.html"
LABELLED = f"report STACK {PAGE}"


def labelled(*names: str, weights: str | None = None) -> Make:
    """Put label images into the stack, by weights with a name or by nobody's."""

    def make(place: Place) -> None:
        stack = Stack.open(place.copy("STACK"))
        made = {} if weights is None else {"run": "other", "weights_sha256": weights, "monai_app": "0.1.0"}
        for name in names:
            stack.write_labels(name, iter(np.ones(stack.shape, np.uint8)), attributes=made)

    return make


def measured(place: Place) -> None:
    stack = Stack.open(place.copy("STACK"))
    write_folder(quantify(StoredLabels(stack, "found"), {"fraction": MEASURES["fraction"]}), place.folder / "measured")


def damaged(place: Place) -> None:
    edit_text(place.folder / "measured" / "quantities.json", '"measures"', '"measure"')


def segmented_again(place: Place) -> None:
    stack = Stack.open(place.copy("STACK"))
    stack.write_labels("found", iter(np.ones(stack.shape, np.uint8)), attributes={"run": "new"}, overwrite=True)


def untrained(place: Place) -> None:
    (place.copy("RUN") / "models" / "model.pt").unlink()


def study_document(text: str) -> Make:
    def make(place: Place) -> None:
        folder_at("study")(place)
        (place.folder / "study" / "results.json").write_text(text)

    return make


def says(*words: str) -> Make:
    def check(place: Place) -> None:
        text = (place.folder / "out.html").read_text(encoding="utf8")
        assert all(word in text for word in words)

    return check


ROWS = [
    refused("nothing to report on", f"report {PAGE}", "SOURCE"),
    refused("no page named", "report STACK", "--output"),
    refused("a source that does not exist", f"report nowhere {PAGE}", "nowhere does not exist"),
    refused("the folder of a sample", f"report SAMPLE {PAGE}", "is none of these"),
    refused(
        "a study that is damaged",
        f"report study {PAGE}",
        "results.json is damaged",
        make=study_document('{"stacks": ['),
    ),
    refused("a study of nothing", f"report study {PAGE}", "results.json", make=study_document("{}")),
    refused("two stores", f"report STACK STACK {PAGE}", "is a store, and so is"),
    refused("a run folder without weights", f"report RUN {PAGE}", "has no trained weights", make=untrained),
    refused("a page that is no .html", "report STACK -o out.pdf", "does not end in .html"),
    refused("a page that exists", f"report STACK {PAGE}", "out.html exists", make=file_at("out.html")),
    refused("a folder as the page", f"report STACK {PAGE}", "is a folder", make=folder_at("out.html")),
    refused("a page in the store", "report STACK -o STACK/out.html", "lies in the store"),
    refused("a PDF that is no .pdf", f"report STACK {PAGE} --pdf out.txt", "does not end in .pdf"),
    refused("a PDF that exists", f"report STACK {PAGE} --pdf out.pdf", "out.pdf exists", make=file_at("out.pdf")),
    refused("labels that do not exist", f"{LABELLED} --labels unet", "no finished label image", make=labelled("found")),
    refused("`--labels` without a store", f"report RUN {PAGE} --labels unet", "no store is given"),
    refused("a store with two label images", LABELLED, "choose one with --labels", make=labelled("found", "other")),
    refused(
        "labels of another run",
        f"report RUN STACK {PAGE}",
        "predicted with weights abc",
        make=labelled("a", weights="abc"),
    ),
    refused("a run beside labels of nobody", f"report RUN STACK {PAGE}", "have no record", make=labelled("a")),
    refused(
        "quantities of labels that were segmented again",
        f"report STACK measured {PAGE}",
        "on another segmentation",
        make=in_turn(labelled("found"), measured, segmented_again),
    ),
    refused(
        "quantities of other labels",
        f"report STACK measured {PAGE} --labels other",
        "measured on labels 'found'",
        make=in_turn(labelled("found", "other"), measured),
    ),
    refused(
        "damaged quantities",
        f"report STACK measured {PAGE}",
        "measures",
        make=in_turn(labelled("found"), measured, damaged),
    ),
    taken("a store without labels", LABELLED, says("has no finished labels", "Slices")),
    taken("a run that was never scored", f"report RUN {PAGE}", says("This model was not scored")),
]
