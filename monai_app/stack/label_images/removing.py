"""Removing label images from a store."""

from pathlib import Path

from monai_app import files
from monai_app.errors import ConfigError, StackError
from monai_app.stack.label_images.journal import JOURNAL
from monai_app.stack.label_images.registry import check_label_name, finished_labels, unregister
from monai_app.stack.ngff import layout


def remove_labels(store: Path, name: str) -> None:
    """Remove a label image with its maps, finished or not.

    A kill at any moment leaves it whole, or something that the next call or the next segmentation of that name removes.

    Args:
        store: the stack store.
        name: the label image's name.

    Raises:
        ConfigError: no label image can have this name, or it is that of the annotations.
        BusyError: a process is writing it.
        StackError: there is none.
    """
    if name == layout.ANNOTATION:
        raise ConfigError(
            "the annotations are not a label image; remove them slice by slice: monai-app annotations STACK --remove N"
        )
    check_label_name(name)
    target = store / layout.LABELS / name
    busy = f"label image {name!r} of {store} is being written by another process; stop that first, or wait for it"
    with files.lock(files.lock_path(target), busy):
        files.rollback(target)
        partial = files.partial_path(target)
        if not target.is_dir() and not partial.is_dir():
            known = ", ".join(finished_labels(store)) or "none"
            raise StackError(f"{store.name} has no label image {name!r}; its label images are {known}: name one")
        (target / JOURNAL).unlink(missing_ok=True)  # so that what is left after a kill is never resumed
        unregister(store, name)
        files.remove_tree(partial)
        if target.is_dir():
            target.rename(partial)
            files.remove_tree(partial)
