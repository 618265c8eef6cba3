"""Writes a checkpoint as the ONNX file that the separator runs.

python -m training.export training/runs/first/checkpoint.pt stemwright-12.onnx
python -m training.export ONE/checkpoint.pt OTHER/checkpoint.pt stemwright-12.onnx    # both, as an ensemble
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stemwright.models.runtimes.onnx import CHUNK_FRAMES
from training.checkpoints.checkpoint import Checkpoint
from training.checkpoints.inference import add_arguments
from training.checkpoints.onnx_export import export
from training.network import logit_bias
from training.network.unet import frame_count


def main() -> None:
    """Reads the command line and exports."""
    parser = argparse.ArgumentParser(description="Writes a checkpoint as ONNX.")
    add_arguments(parser)
    parser.add_argument("out", type=Path)
    parser.add_argument("--frames", type=frame_count, default=CHUNK_FRAMES, help="frames per chunk in the separator")
    options = parser.parse_args()
    checkpoints = [Checkpoint.load(path) for path in options.checkpoints]
    try:
        difference = export(
            checkpoints,
            options.out,
            logit_bias.from_options(options),
            options.frames,
            options.weight,
            options.onset_prior,
        )
    except ValueError as error:
        parser.error(str(error))
    print(
        f"{options.out}: {options.out.stat().st_size} bytes, torch and ONNX Runtime differ by {difference:.2g} at most"
    )


if __name__ == "__main__":
    main()
