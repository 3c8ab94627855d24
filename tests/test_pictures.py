import io

import matplotlib.image
import numpy as np

from monai_app.pictures import (
    ERROR_RGB,
    RIGHT_RGB,
    UNLABELLED_RGB,
    as_png,
    colour_errors,
    colour_labels,
    draw_slice,
)
from monai_app.stack import Phase

PHASES = [Phase(value=1, name="pore", rgb=(0, 0, 0)), Phase(value=2, name="solid", rgb=(0, 114, 178))]


def test_labels_get_the_colours_of_their_phases() -> None:
    assert colour_labels(np.array([[0, 1, 2]], np.uint8), PHASES).tolist() == [
        [list(UNLABELLED_RGB), [0, 0, 0], [0, 0x72, 0xB2]]
    ]


def test_errors_are_marked_only_where_labelled() -> None:
    truth, prediction = np.array([[0, 1, 2]]), np.array([[1, 1, 1]])
    assert colour_errors(truth, prediction).tolist() == [[list(UNLABELLED_RGB), list(RIGHT_RGB), list(ERROR_RGB)]]


def test_large_slices_are_thinned() -> None:
    truth = np.ones((2050, 900), np.uint8)
    figure = draw_slice({"ICE": truth}, truth, truth, PHASES, "large")
    drawn = figure.axes[0].images[0].get_array()
    assert drawn is not None
    assert drawn.shape == (684, 300)


def test_a_slice_is_drawn_with_all_panels() -> None:
    truth = np.ones((40, 60), np.uint8)
    images = {"ICE": np.arange(2400).reshape(40, 60), "TLD": np.zeros((40, 60))}
    figure = draw_slice(images, truth, truth + 1, PHASES, "test, slice 3")
    assert [axes.get_title() for axes in figure.axes] == ["ICE", "TLD", "truth", "prediction", "errors"]
    pixels = matplotlib.image.imread(io.BytesIO(as_png(figure)))
    blue = np.isclose(pixels[..., :3], np.array([0, 0x72, 0xB2]) / 255, atol=0.01).all(-1)
    assert blue.mean() > 0.05  # the prediction's panel is all solid


def test_any_number_of_detectors_with_any_names_is_drawn() -> None:
    truth = np.ones((40, 60), np.uint8)
    names = ["SE", "BSE_top", "in-lens.2", "a", "b"]
    figure = draw_slice(dict.fromkeys(names, truth), truth, truth, PHASES, "test")
    assert [axes.get_title() for axes in figure.axes] == [*names, "truth", "prediction", "errors"]
    places = [axes.get_subplotspec() for axes in figure.axes]
    assert [place.num1 for place in places if place is not None] == list(range(8))
    assert {place.get_geometry()[:2] for place in places if place is not None} == {(2, 4)}
