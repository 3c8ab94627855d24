"""Progress on the command line."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn

from tqdm import tqdm

from monai_app.progress import Progress


@contextmanager
def progress_bar(task: str, unit: str = "slice") -> Iterator[Progress]:
    """Show a progress bar with rate and remaining time from the first call to the last item's; ``unit`` is counted."""
    with ExitStack() as stack:
        bars: list[tqdm[NoReturn]] = []

        def show_progress(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(tqdm(desc=task, unit=unit, total=total)))
            bars[0].update(done - bars[0].n)
            if done == total:
                bars.pop().close()  # what is logged afterwards would break its line

        yield show_progress
