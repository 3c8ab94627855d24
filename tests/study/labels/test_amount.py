"""Parts of annotations as text."""

import pytest

from monai_app.errors import ConfigError
from monai_app.study.labels.amount import Amount, read_amount


@pytest.mark.parametrize(
    ("text", "amount", "written"),
    [
        ("4", Amount((4,)), "4"),
        ("11+4", Amount((4, 11)), "4+11"),
        ("4:10%blocks", Amount((4,), 10, "blocks"), "4:10%blocks"),
        ("all:0.50%scribbles", Amount((), 0.5, "scribbles"), "all:0.5%scribbles"),
    ],
)
def test_an_amount_is_read_and_written(text: str, amount: Amount, written: str) -> None:
    assert read_amount(text) == amount
    assert str(amount) == written
    assert read_amount(written) == amount


@pytest.mark.parametrize(
    "text", ["", "all", "4-11", "-4", "4:10%", "4:10blocks", "4:0%blocks", "4:100%blocks", "10%blocks", "4+", "٤"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not an amount of labels"):
        read_amount(text)


def test_a_slice_is_named_once() -> None:
    with pytest.raises(ConfigError, match="holds a slice twice"):
        read_amount("4+11+4")
