"""Label a slab with an ONNX file of `monai-app export`; needs numpy and onnxruntime and nothing else.

    python onnx_labels.py model.onnx slab.raw 512 512 labels.raw

slab.raw holds the grey values (S*C, rows, columns) as they come from the microscope, slice-major (z-1:ICE, z-1:TLD,
z:ICE, ...), in the type that the file names; labels.raw becomes (rows, columns) uint8, 1..K for the phases.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name, kind in (("model", str), ("slab", Path), ("rows", int), ("columns", int), ("labels", Path)):
    parser.add_argument(name, type=kind)
words = parser.parse_args()
rows, columns = words.rows, words.columns

session = onnxruntime.InferenceSession(words.model, providers=["CPUExecutionProvider"])
metadata = json.loads(session.get_modelmeta().custom_metadata_map["metadata.json"])
description = metadata["model_description"]

# What the network sees: (grey - mean) / std of each channel.
grey = np.fromfile(words.slab, description["dtype"]).reshape(1, -1, rows, columns).astype(np.float32)
mean, std = (np.array(description[name], np.float32)[:, None, None] for name in ("channel_mean", "channel_std"))
image = (grey - mean) / std

# Sides must be multiples of the stride; the last row and column are repeated for that, and cut off again.
below, right = -rows % description["stride"], -columns % description["stride"]
image = np.pad(image, ((0, 0), (0, 0), (0, below), (0, right)), mode="edge")
(logits,) = session.run(["pred"], {"image": image})
labels = (logits[0, :, :rows, :columns].argmax(0) + 1).astype(np.uint8)
words.labels.write_bytes(labels.tobytes())
