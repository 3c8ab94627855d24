"""Check that the sources of a page belong together."""

from collections.abc import Iterator

from monai_app.errors import ConfigError
from monai_app.quantities.report.folder import DOCUMENT
from monai_app.reporting.formatting import slices
from monai_app.reporting.sources import Quantities, Run, Scores, Sources, Store
from monai_app.reporting.studies import Study
from monai_app.stack import Stack
from monai_app.stack.label_images.listing import labels_sha256

_SHOWN = 12
"""Digits of a hash in a message."""


def check_agreement(sources: Sources) -> None:
    """Check that the run predicted the labels, and that quantities and study are about these labels and this run.

    Raises:
        ConfigError: they do not belong together, or a run is given and the labels have no record of their model.
    """
    if sources.run and sources.store and sources.store.labels:
        _check_made_by(sources.run, sources.store.labels.attributes.get("weights_sha256"), sources.store.labels.name)
    if sources.quantities and sources.store:
        _check_measured(sources.quantities, sources.store)
    elif sources.quantities and sources.run:
        made = sources.quantities.document.get("labels", {})
        _check_made_by(sources.run, made.get("made_by", {}).get("weights_sha256"), made.get("name", "?"))
    if sources.study:
        _check_studied(sources.study, sources)


def remarks(sources: Sources) -> Iterator[str]:
    """Return remarks about scores or quantities that do not apply to this stack and model."""
    run, store = sources.run, sources.store
    if store and sources.quantities and "sha256" not in sources.quantities.document.get("labels", {}):
        yield (
            f"{DOCUMENT} was written by an earlier version without a checksum of the labels, so later changes of the "
            "labels would go unnoticed."
        )
    if run is None or store is None:
        return
    known = [each.identity for each in run.spec.training_stacks]
    if known and store.stack.ingested not in known:
        yield f"The model was not trained on {store.stack.store_name}."
    if run.scores:
        yield from _of_scores(run.scores, store.stack)
    learned = sorted(run.learned_from(store.stack.ingested) & {*store.stack.test_slices})
    if learned:
        yield (
            f"The model was trained on slices {slices(learned)}, which now have the role test: they are not shown "
            "here, and scores on them do not describe the model."
        )


def _of_scores(scores: Scores, stack: Stack) -> Iterator[str]:
    scored = [each for each in scores.pooled["stacks"] if each["stack_ingested"] == stack.ingested]
    if not scored:
        yield f"The scores are for other stacks: no slice of {stack.store_name} was scored."
    elif stack.identity not in [each["stack_identity"] for each in scored]:
        yield (
            f"Annotations of {stack.store_name} changed after the model was scored, possibly on test slices: run "
            "`monai-app evaluate` again."
        )


def _check_made_by(run: Run, weights: str | None, labels: str) -> None:
    if weights is None:
        raise ConfigError(
            f"the labels {labels!r} have no record of their model, so it is unknown whether {run.path} predicted "
            "them; give only one of the two"
        )
    if weights != run.weights_sha256:
        raise ConfigError(
            f"the labels {labels!r} were predicted with weights {weights[:_SHOWN]}, but {run.path} has "
            f"{run.weights_sha256[:_SHOWN]}: its scores do not apply to them; give the run that predicted them, or "
            "segment again"
        )


def _check_studied(study: Study, sources: Sources) -> None:
    if sources.run and not sources.run.path.resolve().is_relative_to(study.path.resolve()):
        raise ConfigError(f"{sources.run.path} is not a run of the study {study.path}; give one of its runs, or none")
    stack = sources.store and sources.store.stack
    if stack and stack.identity not in [each["identity"] for each in study.document["stacks"]]:
        raise ConfigError(
            f"{study.path} does not include {stack.path} with its current annotations; give a stack of the study, or "
            "none"
        )


def _check_measured(quantities: Quantities, store: Store) -> None:
    document, stack = quantities.document, store.stack
    if document.get("stack", {}).get("ingested") != stack.ingested:
        raise ConfigError(f"{quantities.path} was not measured on {stack.path}; run monai-app quantify on it")
    of = document["labels"]
    if store.labels is None or of["name"] != store.labels.name:
        own = "no labels" if store.labels is None else repr(store.labels.name)
        raise ConfigError(
            f"{quantities.path} was measured on labels {of['name']!r}, but the page is about {own}; name the same "
            "labels (--labels)"
        )
    same = of["made_by"] == dict(store.labels.attributes)
    if not same or of.get("sha256") not in (None, labels_sha256(stack, store.labels.name)):
        raise ConfigError(
            f"{quantities.path} was measured on another segmentation {of['name']!r} than the one in {stack.path}; run "
            "monai-app quantify again"
        )
