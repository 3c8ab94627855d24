"""Label a slab with a torch.export file of `monai-app export`; needs torch and nothing else.

    python torch_export_labels.py model.pt2 slab.raw 512 512 labels.raw

slab.raw holds the grey values (S*C, rows, columns) as they come from the microscope, slice-major (z-1:ICE, z-1:TLD,
z:ICE, ...), in the type that the file names; labels.raw becomes (rows, columns) uint8, 1..K for the phases.
The file is a program: load only what you trust.
"""

import json
import sys
from pathlib import Path

import torch

model, slab, rows, columns, target = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]

files = {"metadata.json": ""}
program = torch.export.load(model, extra_files=files)
network = program.module(check_guards=False)  # the guards refuse sides of a single stride, which are as right as any
description = json.loads(files["metadata.json"])["model_description"]

# What the network sees: (grey - mean) / std of each channel.
dtype = {"uint8": torch.uint8, "uint16": torch.uint16}[description["dtype"]]
content = bytearray(Path(slab).read_bytes())
grey = torch.frombuffer(content, dtype=dtype).reshape(1, -1, rows, columns).float()
mean, std = (torch.tensor(description[name])[:, None, None] for name in ("channel_mean", "channel_std"))
image = (grey - mean) / std

# Sides must be multiples of the stride; the last row and column are repeated for that, and cut off again.
below, right = -rows % description["stride"], -columns % description["stride"]
image = torch.nn.functional.pad(image, (0, right, 0, below), mode="replicate")
with torch.no_grad():
    logits = network(image)[0, :, :rows, :columns]
labels = (logits.argmax(0) + 1).to(torch.uint8)
Path(target).write_bytes(labels.numpy().tobytes())
