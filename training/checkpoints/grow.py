"""Starts a run of a deeper network, of one that sees more, or of one with other norms, with the same output at first.

    python -m training.checkpoints.grow training/runs/split/checkpoint.pt --design deep-split --run training/runs/deep
    python -m training.checkpoints.grow training/runs/deep/checkpoint.pt --design instance-split \\
        --run training/runs/instance
    python -m training.checkpoints.grow training/runs/short/checkpoint.pt --cue phase --run training/runs/phase
    python -m training.train --corpus training/corpus --run training/runs/deep --resume --minutes 600

Each new attention block follows an existing one and is a copy of it whose last layers are zero, so that it starts as
the identity (Chen et al. 2016, "Net2Net") but gets useful input from the first step. Instance norms take over the
gains and biases of batch norms, but not their statistics. The weights of new input planes are zero (``--cue``); ``--cue
none`` takes such planes away.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from training.checkpoints.checkpoint import Checkpoint, StateDict
from training.data.cues import CUES
from training.network.designs import DESIGNS, Attention, build

_BY_PLANE = {"into_low.0.weight": 0.0, "into_high.0.weight": 0.0, "scale": 1.0, "shift": 0.0}
"""Weights of the input planes, and what those of a new plane begin with."""

_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")


def grow(checkpoint: Checkpoint, design: str) -> Checkpoint:
    """The checkpoint of another design with the same output, except that instance norms measure each mix.

    Raises:
        ValueError: ``design`` needs a multiple of the checkpoint's attention blocks and otherwise the same layers.
    """
    if design == checkpoint.shape.design:
        raise ValueError(f"The checkpoint is a '{design}' already.")
    shape = replace(checkpoint.shape, design=design)
    network = build(shape)
    blocks = [module for module in network.modules() if isinstance(module, Attention)]
    old = 1 + max((int(name[1]) for key in checkpoint.average if (name := _BLOCK.match(key))), default=-1)
    if not old or not blocks or len(blocks) % old:
        raise ValueError(
            f"'{design}' has {len(blocks)} blocks of attention, '{checkpoint.shape.design}' {old}: no multiple."
        )
    copies = len(blocks) // old

    def grown(state: StateDict) -> StateDict:
        wanted = network.state_dict()
        if missing := [name for name in wanted if _origin(name, copies) not in state]:
            raise ValueError(f"'{checkpoint.shape.design}' has no '{missing[0]}', as '{design}' wants it.")
        try:
            network.load_state_dict({name: state[_origin(name, copies)] for name in wanted})
        except RuntimeError as error:
            raise ValueError(f"'{checkpoint.shape.design}' is not of the widths of '{design}'.") from error
        for number, block in enumerate(blocks):
            if number % copies:
                block.zero_output()
        return {name: value.clone() for name, value in network.state_dict().items()}

    return replace(
        checkpoint, shape=shape, network=grown(checkpoint.network), average=grown(checkpoint.average), optimiser={}
    )


def with_cue(checkpoint: Checkpoint, cue: str) -> Checkpoint:
    """The checkpoint of a network that also sees a cue (``training/data/cues.py``), with the same output.

    ``none`` takes the cue away: the output is then that for planes of zeros.

    Raises:
        ValueError: it sees another one, or its first layers are not those of a ``split``.
    """
    if "none" not in (checkpoint.shape.cue, cue):
        raise ValueError(f"The checkpoint has a cue already, '{checkpoint.shape.cue}'.")
    more = CUES[cue].planes - CUES[checkpoint.shape.cue].planes

    def resized(state: StateDict) -> StateDict:
        if not all(name in state for name in _BY_PLANE):
            raise ValueError(f"A '{checkpoint.shape.design}' cannot be given other input.")
        # The last planes of (width, planes, bands, frames) and (planes, bands, 1); padding below zero cuts.
        planes = {
            name: nn.functional.pad(state[name], (0, 0, 0, 0, 0, more), value=value)
            for name, value in _BY_PLANE.items()
        }
        return {**state, **planes}

    return replace(
        checkpoint,
        shape=replace(checkpoint.shape, planes=checkpoint.shape.planes + more, cue=cue),
        network=resized(checkpoint.network),
        average=resized(checkpoint.average),
        optimiser={},
    )


def _origin(name: str, copies: int) -> str:
    """Name of the tensor in the shallower network."""
    if (found := _BLOCK.match(name)) is None:
        return name
    return f"blocks.{int(found[1]) // copies}.{found[2]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and starts the run."""
    parser = argparse.ArgumentParser(
        description="Starts a run of a deeper network, of one that sees more, or of one with other norms."
    )
    parser.add_argument("checkpoint", type=Path)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--design", choices=tuple(DESIGNS), default="deep-split")
    kind.add_argument("--cue", choices=tuple(CUES), help="more for it to see; none takes that away")
    parser.add_argument("--run", type=Path, required=True, help="folder for the checkpoint")
    options = parser.parse_args(arguments)
    try:
        checkpoint = Checkpoint.load(options.checkpoint)
        grown = with_cue(checkpoint, options.cue) if options.cue else grow(checkpoint, options.design)
        print(grown.start_run(options.run))
    except (FileExistsError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
