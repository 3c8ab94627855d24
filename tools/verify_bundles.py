"""What the MONAI model zoo's CI checks of a bundle (its ci/verify_bundle.py and unit tests), done here and offline.

Verifies the named bundles or run folders as they are, writing nothing into them. Without a name all shipped bundles: a
tiny epoch is trained with each and what it leaves is verified. One line per check; ends with 1 where one failed.

    tools/verify-bundles
    tools/verify-bundles runs/fibsem_unet_segmentation --mode full

`min` is what the zoo checks of every change, `regular` of what it has released, `full` before a release; `all` is every
check once.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path

import bundle_files as files
from bundle_files import Bundle

from monai_app.bundle.configs.templates import template_paths, tiny_settings
from monai_app.errors import AppError

# Threads that spin for the next tiny operation are in each other's way where others compute too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

TINY_TRAINING = {  # takes seconds
    "batch_size": 2,
    "steps_per_epoch": 3,
    "max_epochs": 1,
    "validation_block": 32,
    "crop": [48, 48],
    "window": [48, 48],
}
LAYERINGS = {  # evaluation is training's workflow with another end
    "train": ("train", ("train",)),
    "evaluate": ("train", ("train", "evaluate")),
    "inference": ("infer", ("inference",)),
    "multi_gpu_train": ("train", ("train", "multi_gpu_train")),
    "multi_gpu_evaluate": ("train", ("train", "evaluate", "multi_gpu_evaluate")),
}


@dataclass(frozen=True)
class Check:
    """A check of one rule.

    Attributes:
        name: what is printed.
        modes: the zoo's modes in which it is done; ``all`` does every one.
        run: raises where the bundle breaks the rule, and returns what it found.
    """

    name: str
    modes: str
    run: Callable[[Bundle], str]


def checks_of(bundle: Bundle) -> list[Check]:
    """Return the checks for a bundle; the configs for several processes are checked where it has them."""
    import bundle_runs as runs  # loads torch and MONAI

    always, changes, full = "min regular full", "min full", "full"
    return [
        Check("name", always, files.check_name),
        Check("large files", always, files.check_large_files),
        Check("LICENSE, metadata", always, files.check_required_files),
        Check("weights, inference config", always, files.check_preferred_files),
        Check("version, changelog", changes, files.check_changelog),
        Check("metadata schema", always, files.check_schema),
        Check("packages", always, files.check_packages),
        *(
            Check(f"properties of {name}", full, partial(runs.check_properties, kind=kind, names=names))
            for name, (kind, names) in LAYERINGS.items()
            if not name.startswith("multi_gpu") or bundle.config(name)
        ),
        Check("network in and out", full, runs.check_network),
        Check("TorchScript", full, runs.check_export),
        Check("run of train", full, runs.check_training),
        Check("run of evaluate", full, runs.check_evaluation),
        Check("run of inference", full, runs.check_inference),
    ]


def verify(bundle: Bundle, mode: str = "all", only: str | None = None) -> Iterator[tuple[str, str | None, str]]:
    """Do the checks of a mode, or only the one of a name.

    Yields:
        The check's name, what it found or ``None`` where it failed, and why it failed.
    """
    for check in checks_of(bundle):
        if only not in (None, check.name) or mode not in ("all", *check.modes.split()):
            continue
        try:
            with quiet():
                found = check.run(bundle)
        except Exception as error:
            yield check.name, None, reason(error)
        else:
            yield check.name, found, ""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to itself what MONAI prints and warns of, such as that configs are code."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        yield


def reason(error: BaseException) -> str:
    """Say in one line why a check failed; MONAI's wrapping is taken off."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    own = next((link for link in chain if isinstance(link, files.CheckError | AppError)), None)
    text = " ".join(str(own or chain[-1]).split())[:300]
    return text if own else f"{type(chain[-1]).__name__}: {text}"


def main() -> None:
    """Verify and report."""
    arguments = parse()
    logging.disable(logging.ERROR)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="verify-bundles-") as folder:
        work = Path(folder)
        bundles = [path.resolve() for path in arguments.bundle] or [
            train_shipped(path, work) for path in template_paths()
        ]
        results = [report(Bundle(path, arguments.schema, work), arguments.mode) for path in bundles]
    failed = sum(not ok for result in results for ok in result)
    done = sum(map(len, results))
    print(f"{done - failed} of {done} checks passed, {len(bundles)} bundles, {time.perf_counter() - start:.0f} s")
    sys.exit(bool(failed))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="*", type=Path, metavar="BUNDLE", help="bundle or run folder; default: shipped")
    parser.add_argument("--mode", choices=["min", "regular", "full", "all"], default="all")
    parser.add_argument("--schema", type=Path, default=files.SCHEMA, metavar="FILE", help="the schema metadata names")
    arguments = parser.parse_args()
    for path in arguments.bundle:
        if not (path / "configs").is_dir():
            parser.error(f"{path} is no bundle: it has no folder configs; name a bundle or a run folder")
    return arguments


def report(bundle: Bundle, mode: str) -> list[bool]:
    """Print one line per check and return which passed."""
    print(bundle.folder.name, flush=True)
    passed, start = [], time.perf_counter()
    for name, found, why in verify(bundle, mode):
        now = time.perf_counter()
        print(f"  {'FAIL' if found is None else 'ok':<5}{name:<32}{now - start:5.1f} s  {found or why}", flush=True)
        passed.append(found is not None)
        start = now
    return passed


def train_shipped(template: Path, work: Path) -> Path:
    """Train one tiny epoch with a bundle that comes with the package, and return the run folder."""
    import bundle_runs as runs

    from monai_app.bundle.command import BundleCommand
    from monai_app.bundle.run_folder import prepare
    from monai_app.stack import Stack

    stack = Stack.open(runs.stack_for(Bundle(template, files.SCHEMA, work)))
    run = work / template.name
    with quiet():
        prepare(template, stack, run, settings={**TINY_TRAINING, **tiny_settings(template.name)})
        overrides = {"bundle_root": str(run), "dataset_dir": str(stack.path), "logging_file": False}
        BundleCommand((run / "configs" / "train.yaml",), overrides).run()
    return run


if __name__ == "__main__":
    main()
