"""Send a label server what its interface allows and what it does not, about things that it has and that it hasn't.

    python -m tests.label.fuzz http://127.0.0.1:8000 --minutes 10 --seed 7

Serve a copy: annotations are changed, trainings started. The answers are counted by operation and status. What is no
answer of the interface, and operations that never succeeded, are told at the end, and the exit code is 1. The test in
test_safety.py begins a server, runs this and looks at what is left. This imports no torch, so it starts in a second.
"""

import argparse
import gzip
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import hypothesis
import nibabel
import numpy as np
import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import status_code_conformance

from tests.label.fuzz_files import File, odd, random_labels, random_volume

ALLOWED = {503, 507}
"""The queue is full, the memory too small: documented, and no bug."""

ORDER = ("put", "post", "get", "head", "delete")
"""Methods in the order of a round: what is begun is looked at, and stopped at the end."""

KNOWN = 0.85
"""How often a name is one of something that is there."""

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    1 << 70,
    1.5,
    float("nan"),
    "",
    "final",
    "../x",
    "x" * 300,
    "\ud800",
    [],
    {},
    [[]],
)

SEGMENTS = [{"name": name, "idx": value} for value, name in enumerate(("pore", "hydrate", "clinker"), 1)]

SPARE = "spare"
"""An image that is sent again where it was removed, with labels."""


class Known:
    """What the server has at the moment.

    Args:
        url: the server's.
        order: chooses among it.
    """

    def __init__(self, url: str, order: random.Random) -> None:
        self.url, self.order = url, order
        info = self.ask("GET", "/info/").json()
        models = [name for name, model in info["models"].items() for _ in range(3 if model["run"] else 1)]
        self.names = {"model": models, "strategy": list(info["strategies"]), "method": list(info["scoring"])}
        self.phases = len(info["labels"])
        self.cases = list(self.listing())
        self.grids = {case: self.volume(f"/datastore/image?image={case}") for case in self.cases}
        self.grids[SPARE] = nibabel.Nifti1Image(np.zeros((20, 16, 3, 2), np.uint8), np.eye(4))
        labelled = self.cases[1]
        self.kept = ((SPARE, "final"), (SPARE, "mine"), (labelled, "original"), (labelled, "final"))
        self.sessions: list[str] = []
        self.images: dict[str, list[str]] = {}
        self.refresh()

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request."""
        return requests.request(method, f"{self.url}{path}", timeout=60, **options)

    def listing(self) -> dict[str, list[str]]:
        """The images, with the tags of their labels."""
        objects = self.ask("GET", "/datastore/?output=all").json()["objects"]
        return {image: list(found["labels"]) for image, found in objects.items()}

    def refresh(self) -> None:
        """Put back what has to be there, and look what there is."""
        self.images = self.listing()
        volume = ("x.nii", self.grids[SPARE].to_bytes())
        if SPARE not in self.images:
            self.ask("PUT", f"/datastore/image?image={SPARE}", files={"file": volume}).raise_for_status()
        missing = [(image, tag) for image, tag in self.kept if tag not in self.images.get(image, ())]
        for image, tag in missing:
            grid = self.grids[image]
            label = nibabel.Nifti1Image(np.ones(grid.shape[:3], np.uint8), grid.affine).to_bytes()
            sent = {"label": ("x.nii", label)}
            self.ask("PUT", f"/datastore/label?image={image}&tag={tag}", files=sent).raise_for_status()
        if not self.sessions:
            self.sessions = [self.ask("PUT", "/session/", files={"files": volume}).json()["session_id"]]
        if missing:
            self.images = self.listing()

    def subject(self, label: str) -> dict[str, str]:
        """Names that belong together and mostly suit an operation, by the parameters that carry them."""
        chosen = {name: self.order.choice(names) for name, names in self.names.items()}
        image, tag = self._labelled()
        suited = self.order.random() < KNOWN
        if suited and label == "PUT /datastore/image":
            image = f"sent_{self.order.randrange(1000)}"
        elif suited and label == "PUT /datastore/label":
            image, tag = self.order.choice(list(self.grids)), self.order.choice(("final", "mine"))
        elif suited and label == "DELETE /datastore/image":
            image = self.order.choice([image for image in self.images if image not in self.cases])
        elif not (suited and "/datastore/label" in label):
            image = self.order.choice(list(self.images))
        session = self.order.choice(self.sessions)
        return {**chosen, "image": image, "id": image, "label": image, "tag": tag, "session_id": session}

    def _labelled(self) -> tuple[str, str]:
        return self.order.choice([(image, tag) for image, tags in self.images.items() for tag in tags])

    def volume(self, path: str) -> nibabel.Nifti1Image:
        """An image's or a label's file."""
        return nibabel.Nifti1Image.from_bytes(gzip.decompress(self.ask("GET", path).content))


class Sender:
    """Sends requests and judges the answers.

    Args:
        known: what the server has.
        order: chooses what is sent.
        keep: folder for the bodies of requests that were answered wrongly; none are kept where None.
    """

    def __init__(self, known: Known, order: random.Random, keep: Path | None) -> None:
        self.known, self.order, self.keep = known, order, keep
        self.counts: dict[str, Counter[int]] = {}
        self.failures: dict[tuple[str, int, str], str] = {}
        self.session = requests.Session()

    def send(self, case: schemathesis.Case[Any]) -> None:
        """Send what was generated, with names of what is there, options and files in it."""
        label = case.operation.label
        subject = self.known.subject(label)
        self._name(case, subject)
        sent = case.as_transport_kwargs(base_url=self.known.url)
        self._add_options(case, sent, subject)
        answer = self.session.request(**sent, timeout=120)
        self.counts.setdefault(label, Counter())[answer.status_code] += 1
        self._judge(case, answer)
        if answer.ok and case.method in ("PUT", "DELETE") and not case.operation.path.endswith("/info"):
            self._learn(case, answer)

    def _name(self, case: schemathesis.Case[Any], subject: dict[str, str]) -> None:
        """Put names that are there into the path and the query; those that may be left out are so at times."""
        for parameter in case.operation.definition.raw.get("parameters", ()):
            name = parameter["name"]
            if name in subject and parameter["schema"].get("type") == "string" and self.order.random() < KNOWN:
                (case.path_parameters if parameter["in"] == "path" else case.query)[name] = subject[name]
        for name in {"session_id", "none"} & set(case.query or {}):
            if self.order.random() < 0.6:
                del case.query[name]

    def _add_options(self, case: schemathesis.Case[Any], sent: dict[str, Any], subject: dict[str, str]) -> None:
        if case.media_type is None or self.order.random() > KNOWN:
            return
        options = self._options(subject)
        if case.media_type == "application/json":
            sent.update(json=None, data=json.dumps(options))
        elif case.media_type == "application/x-www-form-urlencoded":
            sent["data"] = {"info": json.dumps(options)}
        else:
            sent["headers"].pop("Content-Type", None)
            sent.update(data={"params": json.dumps(options)}, files=self._files(case, subject))

    def _options(self, subject: dict[str, str]) -> dict[str, Any]:
        """Some of the options that any request takes."""
        right = {
            "model": (subject["model"],),
            "label_tag": (subject["tag"], "mine"),
            "max_epochs": (1, 2),
            "pretrained": (True, False),
            "max_batch_size": (1, 2),
            "device": (None, "cpu", ["cpu"]),
            "whole_slab": (True, False),
            "save_label": (True, False),
            "label_info": (SEGMENTS, SEGMENTS, SEGMENTS[::-1], [], None, [{"name": "pore", "idx": 2}]),
            "score": (1, "x"),
        }
        return {
            name: self.order.choice(ODD_VALUES if self.order.random() < 0.05 else values)
            for name, values in right.items()
            if self.order.random() < 0.4
        }

    def _files(self, case: schemathesis.Case[Any], subject: dict[str, str]) -> list[tuple[str, File]]:
        path, image = case.operation.path, subject["image"]
        if path == "/datastore/label":
            grid = self.known.grids.get(image, self.known.grids[SPARE])
            return [("label", odd(self.order, random_labels(self.order, grid, self.known.phases)))]
        if path.startswith("/infer") and self.order.random() < 0.6:
            return [("other", ("x", b""))]
        name = "files" if path.startswith("/session") else "file"
        return [(name, odd(self.order, random_volume(self.order)))] * self.order.choice((1,) * 9 + (2,))

    def _judge(self, case: schemathesis.Case[Any], answer: requests.Response) -> None:
        try:
            if answer.status_code not in ALLOWED:
                case.validate_response(answer, checks=[not_a_server_error, status_code_conformance])
            if answer.status_code >= 400 and case.method != "HEAD":
                assert answer.json()["detail"], answer.text
        except (FailureGroup, AssertionError, ValueError, LookupError) as error:
            why = [failure.title for failure in error.exceptions] if isinstance(error, FailureGroup) else repr(error)
            key = (case.operation.label, answer.status_code, answer.text[:80])
            if key not in self.failures:
                told = f"{case.method} {answer.url[:400]}\n{answer.status_code} {why}: {answer.text[:1000]}"
                self.failures[key] = f"{told}\n{self._kept(answer.request.body)}"

    def _kept(self, body: Any) -> str:
        content = body.encode() if isinstance(body, str) else body or b""
        if self.keep is None:
            return repr(content[:2000])
        path = self.keep / f"failed_{len(self.failures)}.body"
        path.write_bytes(content)
        return f"body: {path}"

    def _learn(self, case: schemathesis.Case[Any], answer: requests.Response) -> None:
        path = case.operation.path
        if path == "/session/":
            self.known.sessions = [*self.known.sessions[-9:], answer.json()["session_id"]]
        elif path.startswith("/session/"):
            self.known.sessions = [name for name in self.known.sessions if name != answer.json()["name"]]
        elif case.operation.label == "PUT /datastore/label" and case.query["image"] in self.known.cases:
            self._check_annotation(case.query["image"])
        self.known.refresh()

    def _check_annotation(self, image: str) -> None:
        """Look at once whether a label that was taken holds phases alone: another request may remove it."""
        if "final" in self.known.listing()[image]:
            values = np.unique(self.known.volume(f"/datastore/label?label={image}&tag=final").dataobj)
            if not set(values) <= set(range(self.known.phases + 1)):
                self.failures["annotation", 200, image] = f"the annotations of {image} hold {values}"


def meet(operation: Any, send: Callable[[schemathesis.Case[Any]], None], examples: int, seed: int) -> None:
    """Send some requests of one kind. Nothing is shrunk or sent again: the server is another one after each."""
    settings = hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    test: Any = settings(hypothesis.given(operation.as_strategy())(send))
    hypothesis.seed(seed)(test)()


def tell(sender: Sender) -> list[str]:
    """Print how often each operation was answered how; return what is wrong."""
    for label, counts in sender.counts.items():
        print(f"{label:40} {'  '.join(f'{status}: {n}' for status, n in sorted(counts.items()))}")
    print(f"{sum(counts.total() for counts in sender.counts.values())} requests")
    shallow = [label for label, counts in sender.counts.items() if not any(200 <= status < 300 for status in counts)]
    return [*sender.failures.values(), *(f"{label} never succeeded, so nothing behind it was met" for label in shallow)]


def main() -> None:
    """Meet every operation, in rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--examples", type=int, default=10, help="requests an operation and round")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="rounds go on as long, instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for bodies of requests that were answered wrongly")
    given = parser.parse_args()
    order, end = random.Random(given.seed), time.monotonic() + 60 * (given.minutes or 0)
    sender = Sender(Known(given.url, order), order, given.keep)
    schema = schemathesis.openapi.from_url(f"{given.url}/openapi.json")
    known = (cast("Ok[Any]", result).ok() for result in schema.get_all_operations())
    operations = sorted(known, key=lambda operation: ORDER.index(operation.method))
    for number in itertools.count():
        if number >= given.rounds if given.minutes is None else time.monotonic() > end:
            break
        for operation in operations:
            order.seed(f"{given.seed + number} {operation.label}")  # not by how long what came before took
            more = 4 if "multipart/form-data" in str(operation.definition.raw) else 1  # most can be wrong with files
            meet(operation, sender.send, more * given.examples, given.seed + number)
    wrong = tell(sender)
    print(*wrong, sep="\n\n", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
