"""What `monai-app inspect` prints and writes."""

import json
import logging
import re
from base64 import b64decode
from collections.abc import Callable
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monai_app.files import write_json
from monai_app.inspection import inspect, open_images, warn_of_faults
from monai_app.inspection.page import write_page
from monai_app.inspection.picture import ODD, chosen_slices, write_picture
from monai_app.inspection.report import as_document, summary, text_lines
from monai_app.stack import Stack, ingest
from tests.conftest import TINY, as_options, run_command, write_tiny_sample
from tests.inspection.conftest import Detectors

Write = Callable[[Detectors], Path]


@pytest.fixture
def faulty(flawless: Detectors, write: Write) -> Path:
    stack = {name: pixels.copy() for name, pixels in flawless.items()}
    stack["ICE"][6] = 0
    stack["TLD"][[2, 3]] = stack["TLD"][[3, 2]]
    return write(stack)


class Texts(HTMLParser):
    """Collects the elements, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def test_the_text_has_a_line_a_finding_and_a_summary(faulty: Path) -> None:
    inspection = inspect(open_images(faulty))
    lines = list(text_lines(inspection))
    assert lines[0] == "12 slices of 256 x 256 uint8, voxels (z, y, x) of unknown size"
    assert [line for line in lines if line.startswith("slice")] == [each.line for each in inspection.findings]
    assert lines[-1] == "2 findings in 3 of 12 slices"
    assert next(line for line in lines if line.startswith("usual values")).split() == ["usual", "values", "ICE", "TLD"]


def test_the_json_file_has_every_measure_and_finding(faulty: Path, tmp_path: Path) -> None:
    inspection = inspect(open_images(faulty))
    write_json(tmp_path / "a.json", as_document(inspection))
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["shape"] == [12, 256, 256]
    assert document["slices"] == [f"s_{z:03d}" for z in range(12)]
    assert document["values"]["ICE"]["mean"][6] == 0
    assert document["values"]["TLD"]["similarity"][11] is None
    assert set(document["values"]["ICE"]) == set(document["measures"])
    assert np.sum(document["histograms"]["TLD"][4]) == pytest.approx(1, abs=1e-4)
    assert [(each["kind"], each["slices"], each["detectors"]) for each in document["findings"]] == [
        ("swapped", [2, 3], ["TLD"]),
        ("blank", [6], ["ICE"]),
    ]
    assert all(each["value"] and each["rule"] and each["remedy"] for each in document["findings"])


def test_the_picture_frames_what_is_odd(faulty: Path, flawless: Detectors, write: Write, tmp_path: Path) -> None:
    inspection = inspect(open_images(faulty))
    write_picture(inspection, tmp_path / "a.png")
    odd = tuple(bytes.fromhex(ODD[1:]))
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels == odd).all(axis=2).sum() > 1000
    assert chosen_slices(inspection) == list(range(12))


def test_a_montage_of_a_long_stack_has_the_odd_slices_and_some_of_the_others(write: Write) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (90, 32, 32)).astype(np.uint8)
    pixels[71] = 3
    shown = chosen_slices(inspect(open_images(write({"A": pixels}))))
    assert len(shown) == 40
    assert {0, 71, 89} <= set(shown)


def test_the_page_holds_all_it_needs_and_escapes_names(tmp_path: Path) -> None:
    sample = write_tiny_sample(tmp_path / "sample")
    for z in range(8):
        for detector in ("ICE", "TLD"):
            (tmp_path / "sample" / detector / f"slice_{z}.tif").rename(
                tmp_path / "sample" / detector / f"slice_{z}<img onerror=alert(1)>&.tif"
            )
    text = sample.read_text().replace("pore", "'<script>alert(1)</script>'")
    sample.write_text(text.replace("hydrate", "'$x_2$'"))
    write_page(inspect(open_images(sample)), tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf8")
    found = Texts(page)
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    assert all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert "default-src 'none'" in page
    assert "<script>alert(1)</script>" in found.texts
    assert "slice_3<img onerror=alert(1)>&" in found.texts
    assert len(found.sources) == 1 + 4  # montage, and the annotated slices
    for source in found.sources[1:]:
        overlay = Image.open(BytesIO(b64decode(source.partition(",")[2])))
        assert overlay.size == (80, 96)
        assert len(np.unique(np.asarray(overlay.convert("RGB")).reshape(-1, 3), axis=0)) > 100


def test_labels_lie_over_their_image(tmp_path: Path) -> None:
    sample = write_tiny_sample(tmp_path / "sample")
    inspection = inspect(open_images(sample))
    write_page(inspection, tmp_path / "a.html")
    sources = Texts((tmp_path / "a.html").read_text(encoding="utf8")).sources
    picture = np.asarray(Image.open(BytesIO(b64decode(sources[1].partition(",")[2]))).convert("RGB")).astype(int)
    labels = inspection.images.labels(1)
    assert np.ptp(picture[labels == 0], axis=1).max() == 0  # nobody labelled it: grey
    orange = picture[labels == 3]
    assert (orange[:, 0] > orange[:, 2] + 50).all()  # clinker


def test_any_name_of_a_detector_is_drawn(write: Write, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 32, 32)).astype(np.uint8)
    write_picture(inspect(open_images(write({"_$a_b$": pixels, "ü b": pixels[::-1]}))), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"


def test_the_command_ends_with_1_where_something_is_odd_and_keeps_what_exists(
    faulty: Path, flawless: Detectors, tmp_path: Path
) -> None:
    files = ["--json", "--picture", "a.png", "--page", "a.html"]
    odd = run_command("-m", "monai_app", "inspect", faulty, *files, cwd=tmp_path, check=False)
    assert odd.returncode == 1, odd.stderr
    assert odd.stderr == ""
    assert [found["slices"] for found in json.loads(odd.stdout)["findings"]] == [[2, 3], [6]]
    assert {file.name for file in tmp_path.iterdir()} == {"images", "a.png", "a.html"}
    again = run_command("-m", "monai_app", "inspect", faulty, "--page", "a.html", cwd=tmp_path, check=False)
    assert (again.returncode, again.stderr.count("\n")) == (3, 1)
    assert "a.html exists" in again.stderr


def test_a_flawless_store_ends_with_0(tiny_stack: Stack) -> None:
    result = run_command("-m", "monai_app", "inspect", tiny_stack.path)
    assert result.stdout.endswith("nothing unusual in 8 slices\n")
    assert "train: slices 1, 3, 5; pixels pore" in result.stdout


def faulty_store(folder: Path) -> Stack:
    sample = write_tiny_sample(folder / "sample", slices=12)
    import tifffile

    for z in (0, 2, 4, 7, 8, 10):
        file = folder / "sample" / "ICE" / f"slice_{z}.tif"
        tifffile.imwrite(file, np.full((96, 80), z, np.uint8))
    sample.write_text(sample.read_text() + "\naccept: [constant_slices]\n")
    return ingest(sample, folder / "faulty.ome.zarr")


def test_training_and_segmenting_warn_in_five_lines_at_most(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tiny_stack: Stack
) -> None:
    warn_of_faults(tiny_stack)
    assert caplog.messages == []
    stack = faulty_store(tmp_path)
    warn_of_faults(stack)
    assert len(caplog.messages) == 5
    assert caplog.messages[0].startswith("slice 0 (slice_0) ICE: blank")
    assert re.fullmatch(r"\d more findings; 'monai-app inspect faulty.ome.zarr' shows all", caplog.messages[-1])
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_damaged_store_is_no_reason_to_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stack = faulty_store(tmp_path)
    for chunk in (stack.path / "0" / "c").rglob("*"):
        if chunk.is_file():
            chunk.unlink()
    warn_of_faults(stack)
    (message,) = caplog.messages
    assert message.startswith("the stack was not inspected (StackError: ")


def test_training_and_segmenting_print_the_warnings(trained: Path, tmp_path: Path) -> None:
    stack = faulty_store(tmp_path)
    training = run_command("-m", "monai_app", "train", stack.path, tmp_path / "run", *as_options(TINY), "--dry-run")
    segmenting = run_command("-m", "monai_app", "segment", stack.path, trained, "--z", "5")
    for result in (training, segmenting):
        assert "WARNING slice 4 (slice_4) ICE: blank" in result.stderr


def test_a_summary_counts_findings_of_all_slices_too(write: Write) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 40, 40)).astype(np.uint8)
    pixels[:, :10] = 255
    assert summary(inspect(open_images(write({"A": pixels})))) == "1 finding in 0 of 6 slices"
