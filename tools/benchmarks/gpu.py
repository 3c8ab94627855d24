"""Prove and measure on one NVIDIA card, in at most 8 minutes, what the package does there.

    tools/benchmarks/gpu --json gpu.json

Every part runs in a process of its own, because an error of CUDA leaves its process unusable, with a time that it may
take; what a part says or why it failed goes into the JSON, and the others go on. Times are of a card that nothing else
uses. Where there is no card, or with ``--tiny``, sizes are tiny: that proves the script and measures nothing.
Ends with 1 where a part failed or something did not hold.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import command, machine, write_json

PARTS = {
    "prepare": 150,
    "same_labels": 70,
    "segmenting": 110,
    "networks": 90,
    "training": 80,
    "resumed": 60,
    "full_memory": 40,
    "arithmetic": 40,
    "exported": 60,
    "two_ranks": 60,
    "tests": 40,
    "compiled": 100,
}
"""Parts in their order, and the seconds that each may take."""

PRINTED = ("proved", "rows", "failed", "left_out", "report")
"""Entries of a part that are printed in a way of their own, or not at all."""

LONGEST = 470
"""Seconds that all parts may take together."""


def main() -> None:
    """Run the parts, print what they say, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder for stacks and runs; a temporary one where left out")
    parser.add_argument("--device", help="cpu, cuda or cuda:N; the card where left out and there is one")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, as on a CPU")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="prepare is always needed")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # a part, in a process of its own
    arguments = parser.parse_args()
    if arguments.one:
        print("RESULT " + json.dumps(computed(arguments)))
        return
    with tempfile.TemporaryDirectory(prefix="gpu-") as temporary:
        arguments.work = (arguments.work or Path(temporary)).resolve()
        end, found = time.monotonic() + LONGEST, dict[str, dict[str, Any]]()
        for name in (name for name in PARTS if name in arguments.parts):
            found[name] = shown(name, run_part(name, arguments, end))
            if arguments.json:
                write_json(arguments.json, {"machine": machine(), "command": command(), "parts": found})
    if any("failed" in part or part.get("proved") is False for part in found.values()):
        sys.exit(1)


def computed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compute a part, here."""
    import torch
    from gpu_parts import measurements, proofs
    from gpu_parts.place import Place

    from monai_app.device.choose import chosen_device

    device = chosen_device(arguments.device or "auto")
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)  # some of torch's functions want a number
    part = getattr(proofs, arguments.one, None) or getattr(measurements, arguments.one)
    found: dict[str, Any] = part(Place(arguments.work, device, arguments.tiny or device.type == "cpu"))
    return found


def run_part(name: str, arguments: argparse.Namespace, end: float) -> dict[str, Any]:
    """Run a part in a process of its own; it ends, with all that it started, when its time is over."""
    limit = min(PARTS[name], end - time.monotonic())
    if limit <= 0:
        return {"failed": f"no time is left of {LONGEST} s"}
    words = [sys.executable, __file__, "--one", name, "--work", str(arguments.work)]
    words += ["--device", arguments.device] if arguments.device else []
    words += ["--tiny"] if arguments.tiny else []
    begin = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return {"failed": f"stopped after {limit:.0f} s, its time", "rows": said(output, "ROW ")}
    results = said(output, "RESULT ")
    if process.returncode or not results:
        last = (errors.strip().splitlines() or [f"ended with {process.returncode} and said nothing"])[-1]
        return {"failed": last, "report": errors[-3000:], "rows": said(output, "ROW ")}
    return {"seconds": round(time.monotonic() - begin, 1), **results[-1]}


def said(output: str, begin: str) -> list[dict[str, Any]]:
    """What a part said in lines of JSON that begin so."""
    return [json.loads(line.removeprefix(begin)) for line in output.splitlines() if line.startswith(begin)]


def shown(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """Print what a part found, and return it."""
    verdict = {True: "holds", False: "DOES NOT HOLD", None: "measured"}[part.get("proved")]
    for key, word in {"left_out": "left out", "failed": "FAILED"}.items():
        verdict = f"{word}: {part[key]}" if key in part else verdict
    print(f"{name:<14}{verdict}; {worded(part, PRINTED)}", flush=True)
    for row in part.get("rows", []):
        print(f"    {row['name']:<44}{worded(row, ('name',))}", flush=True)
    return part


def worded(values: dict[str, Any], but: Sequence[str]) -> str:
    """Write values in a line, but for some."""
    rest = {
        key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items() if key not in but
    }
    return ", ".join(f"{key} {value}" for key, value in rest.items())


if __name__ == "__main__":
    main()
