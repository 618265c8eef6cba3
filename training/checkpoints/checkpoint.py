"""Checkpoints: one file with all that a killed run needs to continue, and that scoring and export need."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from training.network.designs import build
from training.network.unet import Network, NetworkShape

StateDict = dict[str, Tensor]


def require_no_run(run: Path) -> Path:
    """The path of the checkpoint of a new run.

    Raises:
        FileExistsError: the folder holds a run.
    """
    path = run / "checkpoint.pt"
    if path.exists():
        raise FileExistsError(f"{run} holds a run already: name another folder.")
    return path


class MovingAverage:
    """Exponential moving average of a network's weights and batch statistics; short at first, so that it follows."""

    def __init__(self, state: StateDict, decay: float = 0.999) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in state.items()}

    def update(self, state: StateDict, step: int) -> None:
        """Moves towards ``state``, the network's after ``step`` steps."""
        weight = 1 - min(self.decay, (step + 1) / (step + 20))
        names = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.state[name] for name in names], [state[name].detach() for name in names], weight)
        for name in state.keys() - set(names):
            self.state[name].copy_(state[name])


@dataclass
class Checkpoint:
    """The state of a run.

    Attributes:
        shape: of the network; network: its weights; average: their moving average, which is scored and exported.
        optimiser: state of the optimiser; empty if a run starts with a fresh one.
        step, minutes, audio_s: steps, time and audio so far, over all parts of the run.
    """

    shape: NetworkShape
    network: StateDict
    average: StateDict
    optimiser: dict[str, object]
    step: int = 0
    minutes: float = 0.0
    audio_s: float = 0.0

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all."""
        unfinished = path.with_name(f".{path.name}")
        torch.save({**vars(self), "shape": asdict(self.shape)}, unfinished)
        unfinished.replace(path)

    def start_run(self, run: Path) -> str:
        """Writes it as the first checkpoint of a run, for ``training.train --resume``; returns a line about it.

        Raises:
            FileExistsError: the folder holds a run.
        """
        path = require_no_run(run)
        run.mkdir(parents=True, exist_ok=True)
        self.save(path)
        return f"{path}: {self.minutes:.1f} minutes and {self.audio_s / 3600:.1f} h of audio so far"

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Reads what ``save`` wrote."""
        stored = torch.load(path, map_location="cpu", weights_only=True)
        shape = NetworkShape.of(stored["shape"])
        network, average = (
            {name: _single(value) for name, value in stored[of].items()} for of in ("network", "average")
        )
        return cls(**{**stored, "shape": shape, "network": network, "average": average})

    def compact(self) -> Checkpoint:
        """The average alone, in half precision but for norms and biases: an eighth of the size.

        A run that continues from it starts with a fresh optimiser.
        """
        halved = {name: value.half() if value.ndim > 1 else value for name, value in self.average.items()}
        return replace(self, network=halved, average=halved, optimiser={})

    def averaged_network(self) -> Network:
        """The network to separate with, in evaluation mode."""
        network = build(self.shape)
        network.load_state_dict(self.average)
        return network.eval()


def _single(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
