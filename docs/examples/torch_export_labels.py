"""Label a slab with a torch.export file of `monai-app export`; needs torch and nothing else.

    python torch_export_labels.py model.pt2 slab.raw 512 512 labels.raw

slab.raw holds the grey values (S*C, rows, columns) as they come from the microscope, slice-major (z-1:ICE, z-1:TLD,
z:ICE, ...), in the type that the file names; labels.raw becomes (rows, columns) uint8, 1..K for the phases.
The file is a program: load only what you trust.
"""

import argparse
import json
from pathlib import Path

import torch

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name, kind in (("model", str), ("slab", Path), ("rows", int), ("columns", int), ("labels", Path)):
    parser.add_argument(name, type=kind)
words = parser.parse_args()
rows, columns = words.rows, words.columns

files = {"metadata.json": ""}
program = torch.export.load(words.model, extra_files=files)
network = program.module(check_guards=False)  # the guards refuse sides of a single stride, which are as right as any
description = json.loads(files["metadata.json"])["model_description"]

# What the network sees: (grey - mean) / std of each channel.
dtype = {"uint8": torch.uint8, "uint16": torch.uint16}[description["dtype"]]
content = bytearray(words.slab.read_bytes())
grey = torch.frombuffer(content, dtype=dtype).reshape(1, -1, rows, columns).float()
mean, std = (torch.tensor(description[name])[:, None, None] for name in ("channel_mean", "channel_std"))
image = (grey - mean) / std

# Sides must be multiples of the stride; the last row and column are repeated for that, and cut off again.
below, right = -rows % description["stride"], -columns % description["stride"]
image = torch.nn.functional.pad(image, (0, right, 0, below), mode="replicate")
with torch.no_grad():
    logits = network(image)[0, :, :rows, :columns]
labels = (logits.argmax(0) + 1).to(torch.uint8)
words.labels.write_bytes(labels.numpy().tobytes())
