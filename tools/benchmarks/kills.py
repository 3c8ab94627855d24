"""Kill every command that writes, at hundreds of moments, and give the same command again.

    python tools/benchmarks/kills.py --target docs/results/kills.json

Every command is run twice uninterrupted and then killed with all its processes (SIGKILL), half of the times at a moment
in time and half just before it opens, names or removes a file; both more often near its end, where files get their
names. The same command follows. It must end as the uninterrupted one does, with the same files and no others; where the
kill came after everything was done, it may also say that the target exists. Prints a table and writes JSON.
"""

import argparse
import json
import math
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import command, machine, write_json

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from killing.cases import Case, cases, prepare, train_words
from killing.processes import Ended, Moment, Processes
from killing.results import Reference, files_in
from killing.server import Client, run_served

from tests import warm

LATE = 0.4
"""Share of the kills that fall into the last part of a command."""

LAST_PART, LAST_CHANGES = 0.2, 12
EXISTS = (" exists", " is already in ")
"""What refusals say of a target that is complete."""


@dataclass
class Tally:
    """What the kills of a command came to."""

    name: str
    seconds: float
    kills: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)
    varying: Sequence[str] = ()
    usual: Sequence[str] = ()

    def row(self) -> dict[str, Any]:
        """The line of the table."""
        ends = {"resumed or repeated": self.ends["done"], "was complete": self.ends["exists"]}
        counts = {"kills": self.kills, **ends, "wrong ends": len(self.wrong), "left-overs": len(self.left)}
        more = {"wrong": self.wrong, "left": self.left, "left without a kill": self.usual, "not compared": self.varying}
        return {"command": self.name, "seconds": round(self.seconds, 2), **counts} | {
            k: v for k, v in more.items() if v
        }


class Place:
    """The folder in which one command runs after the other, always under the same path."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self.folder, self.processes = folder, processes
        self.base, self.now, self.logs = folder / "base", folder / "now", folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)

    def begin(self, case: Case) -> None:
        """Put there what a command begins with."""
        shutil.rmtree(self.now, ignore_errors=True)
        self.now.mkdir()
        for name in case.needs:
            source = self.base / name
            if source.is_dir():
                shutil.copytree(source, self.now / name, symlinks=True)
            else:
                shutil.copy2(source, self.now / name)
        case.before(self.now)

    def run(
        self,
        words: Sequence[str],
        moment: Moment | None = None,
        folder: Path | None = None,
        client: Client | None = None,
    ) -> Ended:
        """Run a Python in it, with folders of its own for what is temporary."""
        folder = folder or self.now
        names = {"TMPDIR": "tmp", "HOME": "home", "MONAI_APP_TRUST": "trust"}
        for name in names.values():
            (folder / name).mkdir(exist_ok=True)
        places = {variable: str(folder / name) for variable, name in names.items()}
        environment, log = {**os.environ, **places}, self.logs / "said.log"
        if client is not None:
            return run_served(self.processes, words, client, folder, environment, log, moment)
        return self.processes.run(words, folder, environment, log, moment)

    def make_base(self) -> None:
        """Make what the commands begin with, if it is not there."""
        done = self.folder / "base.done"
        if done.exists():
            return
        shutil.rmtree(self.base, ignore_errors=True)
        self.base.mkdir()

        def run(*words: str) -> None:
            ended = self.run(words, folder=self.base)
            if ended.code != 0:
                raise RuntimeError(f"{' '.join(words)} ended with {ended.code}:\n{ended.said}")

        prepare(self.base, run)
        self._train_half()
        done.touch()

    def _train_half(self) -> None:
        """Make a run folder of a training that was killed between its epochs."""
        words = ["-m", "monai_app", *train_words("half", 4)]
        changes = self.run(words, folder=self.base).changes
        for share in (0.7, 0.75, 0.65, 0.8, 0.6, 0.85, 0.55, 0.9):
            shutil.rmtree(self.base / "half")
            self.run(words, Moment("file", int(share * changes)), self.base)
            models = self.base / "half" / "models"
            if (models / "last.ckpt").exists() and (models / "model.pt").exists():
                return
        raise RuntimeError("no training could be killed between its epochs")


def main() -> None:
    """Kill, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--target", type=Path, required=True, help="JSON file to write; what it has of other commands stays"
    )
    parser.add_argument("--kills", type=int, default=330, help="how many in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="commands whose names begin so")
    parser.add_argument("--work", type=Path, help="folder to work in; what commands begin with is kept in it")
    words = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends too
    warm.IMPORTED += ("monai_app.label.serve", "monai_app.label.app")
    with TemporaryDirectory(prefix="kills-") as name:
        python = warm.python()
        place = Place((words.work or Path(name)).resolve(), Processes(python))
        chosen = [case for case in cases() if not words.only or case.name.startswith(tuple(words.only))]
        earlier = json.loads(words.target.read_text()) if words.target.exists() else {"calls": [], "commands": []}
        kept = {row["command"]: row for row in earlier["commands"]}
        calls, tallies = [*earlier["calls"], command()], list[Tally]()

        def tell(found: list[Tally]) -> None:
            tallies[:] = found
            rows = {tally.name: tally.row() for tally in found}
            write_json(words.target, {"calls": calls, "machine": machine(), "commands": list((kept | rows).values())})

        try:
            place.make_base()
            experiment(chosen, words.kills, words.seed, place, tell)
        finally:
            place.processes.kill()
    show([tally.row() for tally in tallies])


def experiment(
    chosen: Sequence[Case], kills: int, seed: int, place: Place, tell: Callable[[list[Tally]], None]
) -> None:
    """Kill all commands, those that take longer less often; say how far it is.

    Args:
        chosen: the commands.
        kills: how many in all, at least.
        seed: of the moments.
        place: where they run.
        tell: called with what is known, after every command.
    """
    begun = [uninterrupted(case, place) for case in chosen]
    shares = [tally.seconds**-0.5 for tally, _, _ in begun]
    begin, done, cost = time.monotonic(), 0, 0.0
    wanted = [math.ceil(kills * share / sum(shares)) for share in shares]
    whole = sum(count * tally.seconds for count, (tally, _, _) in zip(wanted, begun, strict=True))
    for case, count, (tally, reference, changes) in zip(chosen, wanted, begun, strict=True):
        generator = random.Random(f"{seed} {case.name}")
        while tally.kills < count:
            kill(case, tally, reference, drawn(generator, tally, changes), place)
        done += tally.kills
        cost += count * tally.seconds
        passed = time.monotonic() - begin
        print(
            f"{tally.name:<24}{done:>5} of {sum(wanted)} kills {60 * done / passed:>5.1f} a minute, "
            f"{passed * (whole / cost - 1):>5.0f} s left; {len(tally.wrong)} wrong, {len(tally.left)} left something",
            flush=True,
        )
        tell([tally for tally, _, _ in begun if tally.kills])


def uninterrupted(case: Case, place: Place) -> tuple[Tally, Reference, int]:
    """Run a command twice, for its time and its result."""
    found, ends = [], []
    for _ in range(2):
        place.begin(case)
        ended = place.run(case.python, client=case.client)
        if ended.code != 0:
            raise RuntimeError(f"{case.name} ended with {ended.code}:\n{ended.said}")
        found.append(files_in(place.now))
        ends.append(ended)
    reference = Reference(*found)
    tally = Tally(case.name, min(ended.seconds for ended in ends), varying=reference.varying)
    print(f"{case.name:<24}{tally.seconds:>8.2f} s uninterrupted", flush=True)
    if usual := sorted(name for name in reference.files if is_left(name)):
        tally.usual = usual
        print(f"{case.name}: left without a kill: {usual}", flush=True)
    return tally, reference, min(ended.changes for ended in ends)


def is_left(name: str) -> bool:
    """Whether no command that ended should have left this."""
    parts = Path(name).parts
    return (parts[0] == "tmp" and len(parts) > 1) or any(part.endswith((".partial", ".lock", ".old")) for part in parts)


def drawn(generator: random.Random, tally: Tally, changes: int) -> Moment:
    """Choose a moment."""
    late = generator.random() < LATE
    if changes and generator.random() < 0.5:
        return Moment("file", generator.randint(max(1, changes - LAST_CHANGES) if late else 1, changes))
    return Moment("time", generator.uniform(1 - LAST_PART if late else 0, 1) * tally.seconds)


def kill(case: Case, tally: Tally, reference: Reference, moment: Moment, place: Place) -> None:
    """Kill a command once, and give it again; nothing counts where it had ended before."""
    place.begin(case)
    killed = place.run(case.python, moment, client=case.client)
    if killed.code >= 0:
        return
    tally.kills += 1
    ended = place.run(case.python, client=case.client)
    found = files_in(place.now)
    differing, left = reference.differences(found), reference.left_overs(found)
    refused = ended.code == 2 and any(words in ended.said for words in EXISTS)
    said = {"moment": f"{moment.kind} {moment.value:.2f}"}
    if (ended.code == 0 or refused) and not differing and "Traceback" not in ended.said:
        tally.ends["exists" if refused else "done"] += 1
    else:
        last = ended.said.strip().splitlines()[-8:]
        tally.wrong.append({**said, "code": ended.code, "said": last, "differing": differing[:20]})
        print(f"{case.name}: wrong end: {tally.wrong[-1]}", flush=True)
    if left:
        tally.left.append({**said, "files": left[:20]})
        print(f"{case.name}: left-overs: {tally.left[-1]}", flush=True)


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the table."""
    names = ("seconds", "kills", "resumed or repeated", "was complete", "wrong ends", "left-overs")
    print(f"{'command':<24}" + "".join(f"{name:>21}" for name in names))
    for row in rows:
        print(f"{row['command']:<24}" + "".join(f"{row[name]:>21}" for name in names))
    print(f"{'all':<24}" + "".join(f"{round(sum(row[name] for row in rows), 1):>21}" for name in names))


if __name__ == "__main__":
    main()
