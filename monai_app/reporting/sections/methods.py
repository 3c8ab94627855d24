"""A paragraph for the methods section of a publication, and its references."""

import math
from collections.abc import Iterator
from importlib.metadata import version

from monai_app.domain.training_stack import voxel_text
from monai_app.reporting.content import Listing, Section, Text
from monai_app.reporting.formatting import count, fixed, listed, slices, times
from monai_app.reporting.sections.model import trained_slices
from monai_app.reporting.sources import LabelImage, Quantities, Run, Scores, Sources, Store
from monai_app.reporting.studies import Study

_LIBRARIES = (
    "Cardoso et al. 2022, MONAI: an open-source framework for deep learning in healthcare, "
    "doi 10.48550/arXiv.2211.02701",
    "Paszke et al. 2019, PyTorch: an imperative style, high-performance deep learning library, NeurIPS, "
    "doi 10.48550/arXiv.1912.01703",
)
_OF_SCORES = (
    "Hall 1985, Resampling a coverage pattern, Stoch. Process. Appl. 20, 231-246, doi 10.1016/0304-4149(85)90212-1",
    "Cheng et al. 2021, Boundary IoU, CVPR, doi 10.1109/CVPR46437.2021.01508",
)
_OF_STUDIES = (
    _OF_SCORES[0],
    "Satterthwaite 1946, An approximate distribution of estimates of variance components, Biometrics Bull. 2, 110-114, "
    "doi 10.2307/3002019",
)
_OF_CALIBRATION = "Guo et al. 2017, On calibration of modern neural networks, ICML, doi 10.48550/arXiv.1706.04599"
_MEASURES = {
    "fraction": "volume fractions by counting voxels",
    "correction": "fractions corrected by the confusion matrix of the test slices, with intervals",
    "representativity": "the variance of fractions between volumes of this size, with intervals",
    "surface": "specific surfaces by Crofton's formula in 13 directions (Legland et al. 2007)",
    "components": "connected components with 6-connectivity",
    "correlation": "two-point probabilities and their range",
    "chords": "chord lengths along the axes (Torquato and Lu 1993)",
    "thickness": "local thickness by the largest inscribed spheres (Hildebrand and Rüegsegger 1997)",
    "tortuosity": "tortuosity by steady diffusion (taufactor, Kench et al. 2023)",
}
_OF_MEASURES = {
    "correction": "Olofsson et al. 2014, Remote Sens. Environ. 148, 42-57, doi 10.1016/j.rse.2014.02.015",
    "representativity": "Kanit et al. 2003, Int. J. Solids Struct. 40, 3647-3679, doi 10.1016/S0020-7683(03)00143-4",
    "surface": "Legland, Kiêu and Devaux 2007, Image Anal. Stereol. 26, 83-92, doi 10.5566/ias.v26.p83-92",
    "chords": "Torquato and Lu 1993, Phys. Rev. E 47, 2950-2953, doi 10.1103/physreve.47.2950",
    "thickness": "Hildebrand and Rüegsegger 1997, J. Microsc. 185, 67-75, doi 10.1046/j.1365-2818.1997.1340694.x",
    "tortuosity": "Kench, Squires and Cooper 2023, J. Open Source Softw. 8, 5358, doi 10.21105/joss.05358",
}


def methods(sources: Sources) -> Section:
    """Describe in a paragraph what was done, with versions and citations."""
    sentences = []
    if sources.store:
        sentences.append(_sample(sources.store))
    if sources.run:
        sentences += _model(sources.run, sources.labels.attributes.get("monai_app") if sources.labels else None)
    if sources.labels:
        sentences.append(_labels(sources.labels))
    if sources.quantities:
        sentences.append(_quantities(sources.quantities))
    if sources.study:
        sentences.append(_study(sources.study))
    return Section(
        "methods",
        "Methods",
        "A paragraph to paste into a publication, and its references. Check it first: it does not cover how the "
        "sample was prepared and recorded.",
        [Text([" ".join(sentences)]), Listing("References", list(_references(sources)))],
    )


def _study(found: Study) -> str:
    document = found.document
    seeds, stacks = len(document["seeds_compared"]), len({row["stack"] for row in document["runs"]})
    variants = len(document["variants"])
    done = (
        f"{variants} variant{'s were trained under the same conditions' if variants > 1 else ' was trained'} with "
        f"{seeds} seed{'s' * (seeds != 1)} each{f' on each of {stacks} stacks' if stacks > 1 else ''}, and scored on "
        f"the same test slices{' of its stack' if stacks > 1 else ''}."
    )
    if not _has_intervals(found):
        return done
    return (
        f"{done} Intervals of differences in mean IoU (95 %) cover seeds and spatial blocks of the test slices, with "
        "Student's t of Satterthwaite's degrees of freedom; those of all comparisons of one question have Bonferroni "
        "correction."
    )


def _has_intervals(found: Study) -> bool:
    return not all(math.isnan(row["low"]) for row in found.document["differences"])


def _sample(store: Store) -> str:
    stack = store.stack
    moved = "" if stack.alignment is None else f"; {stack.alignment.what} were aligned by image correlation"
    return (
        f"The stack {stack.name} consists of {times(stack.shape)} voxels (slices × rows × columns) of "
        f"{voxel_text(stack.voxel_nm).replace(' x ', ' × ')} (z, y, x), recorded by {listed(stack.detectors)}{moved}."
    )


def _model(run: Run, segmented_with: str | None) -> Iterator[str]:
    spec, trained = run.spec, trained_slices(run)
    reads = f"{spec.slices} neighbouring slices" if spec.slices > 1 else "single slices"
    software = f"monai-app {segmented_with}" if segmented_with else "monai-app"
    yield (
        f"Slices were segmented into {len(spec.phases)} phases ({listed(spec.phase_names)}) with {software}, which "
        f"builds on MONAI {version('monai')} and PyTorch {version('torch').split('+')[0]} (the versions installed on "
        f"the machine that wrote this text), by a neural network ({spec.network}) that reads {reads} of raw grey "
        f"values of {listed(spec.detectors)}."
    )
    learned = "; ".join(f"slices {slices(zs)} of {name}" for name, zs in trained.items())
    if learned:
        trained_with = f" with monai-app {run.record['monai_app']}" if "monai_app" in run.record else ""
        yield (
            f"The network was trained{trained_with} on {learned}, with spatial blocks of them held out for selecting "
            "the weights."
        )
    if run.temperature != 1:
        yield f"The network's confidence was calibrated by temperature scaling (T = {fixed(run.temperature)})."
    if run.scores:
        yield _scores(run.scores)


def _scores(found: Scores) -> str:
    pooled = found.pooled
    mean = pooled["intervals"]["mean"]
    tested = sum(len(each["slices"]) for each in pooled["stacks"])
    places = "; ".join(f"{slices(each['slices'])} of {each['store']}" for each in pooled["stacks"])
    ends = f"{fixed(mean['iou_low'])} to {fixed(mean['iou_high'])}"
    return (
        f"On {count(tested)} test slice{'s' if tested > 1 else ''} ({places}) that were not used for training, mean "
        f"IoU was {fixed(pooled['mean_iou'])} (95 % interval {ends}, spatial block bootstrap) and "
        f"{fixed(100 * pooled['pixel_accuracy'], 1)} % of the labelled pixels were correct."
    )


def _labels(labels: LabelImage) -> str:
    with_torch = f" (PyTorch {labels.torch.split('+')[0]})" if labels.torch else ""
    field = ", each pixel from its complete receptive field" if "weights_sha256" in labels.attributes else ""
    were = "1 slice was" if len(labels.slices) == 1 else f"{count(len(labels.slices))} slices were"
    return f"{were} segmented{with_torch}{field}."


def _quantities(found: Quantities) -> str:
    done = [_MEASURES[name] for name in found.document["measures"] if name in _MEASURES]
    versions = listed([f"{name} {number}" for name, number in found.document["versions"].items()])
    return f"The following were measured: {'; '.join(done)} ({found.document['software']}; {versions})."


def _references(sources: Sources) -> Iterator[str]:
    if sources.run:
        yield from sources.run.metadata.get("references", [])
        yield from _LIBRARIES
        if sources.run.temperature != 1:
            yield _OF_CALIBRATION
        if sources.run.scores:
            yield from _OF_SCORES
    if sources.study and _has_intervals(sources.study):
        yield from _OF_STUDIES
    if sources.quantities:
        measured = sources.quantities.document["measures"]
        yield from (text for name, text in _OF_MEASURES.items() if name in measured)
