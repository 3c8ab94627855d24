"""Whether what a page is made of belongs together: nothing is shown beside what it does not say anything of."""

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
    """Check that labels are by the run's weights, quantities of these labels, and run and stack a study's.

    Raises:
        ConfigError: they are not; or nobody recorded by what labels were made, where a run is given too.
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
    """What a reader should know before taking scores or quantities of others for those of this stack and model."""
    run, store = sources.run, sources.store
    if store and sources.quantities and "sha256" not in sources.quantities.document.get("labels", {}):
        yield (
            f"An earlier version wrote {DOCUMENT}, without a checksum of the labels: nobody would notice if they were "
            "changed since."
        )
    if run is None or store is None:
        return
    known = [each.identity for each in run.spec.training_stacks]
    if known and store.stack.ingested not in known:
        yield f"The model was trained on other stacks than {store.stack.store_name}."
    if run.scores:
        yield from _of_scores(run.scores, store.stack)
    learned = sorted(run.learned_from(store.stack.ingested) & {*store.stack.test_slices})
    if learned:
        yield (
            f"The model learned from slices {slices(learned)}, which are test slices by now: they are not shown among "
            "these, and what is measured on them says nothing of the model."
        )


def _of_scores(scores: Scores, stack: Stack) -> Iterator[str]:
    scored = [each for each in scores.pooled["stacks"] if each["stack_ingested"] == stack.ingested]
    if not scored:
        yield f"The scores are of other stacks: no slice of {stack.store_name} was scored."
    elif stack.identity not in [each["stack_identity"] for each in scored]:
        yield (
            f"Annotations of {stack.store_name} were changed since the model was scored, perhaps those of test slices: "
            "run `monai-app evaluate` again."
        )


def _check_made_by(run: Run, weights: str | None, labels: str) -> None:
    if weights is None:
        raise ConfigError(
            f"nothing records which model made the labels {labels!r}, so it is unknown whether {run.path} did; give "
            "either of them alone"
        )
    if weights != run.weights_sha256:
        raise ConfigError(
            f"the labels {labels!r} were made with weights {weights[:_SHOWN]}, {run.path} has "
            f"{run.weights_sha256[:_SHOWN]}: its scores say nothing of them; give the run that made them, or segment "
            "again"
        )


def _check_studied(study: Study, sources: Sources) -> None:
    if sources.run and not sources.run.path.resolve().is_relative_to(study.path.resolve()):
        raise ConfigError(f"{sources.run.path} is no run of the study {study.path}; give one of its runs, or none")
    stack = sources.store and sources.store.stack
    if stack and stack.identity not in [each["identity"] for each in study.document["stacks"]]:
        raise ConfigError(
            f"{study.path} has not studied {stack.path} as it is annotated now; give a stack that it has studied, or "
            "none"
        )


def _check_measured(quantities: Quantities, store: Store) -> None:
    document, stack = quantities.document, store.stack
    if document.get("stack", {}).get("ingested") != stack.ingested:
        raise ConfigError(f"{quantities.path} was not measured on {stack.path}; measure that: monai-app quantify")
    of = document["labels"]
    if store.labels is None or of["name"] != store.labels.name:
        own = "no labels" if store.labels is None else repr(store.labels.name)
        raise ConfigError(
            f"{quantities.path} was measured on labels {of['name']!r} and the page is about {own}; name the same "
            "labels (--labels)"
        )
    same = of["made_by"] == dict(store.labels.attributes)
    if not same or of.get("sha256") not in (None, labels_sha256(stack, store.labels.name)):
        raise ConfigError(
            f"{quantities.path} was measured on labels {of['name']!r} of another segmentation than {stack.path} has "
            "now; measure again: monai-app quantify"
        )
