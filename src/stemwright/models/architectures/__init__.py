"""Published separation networks, one self-contained file each: options in, waveforms to waveforms.

Each file holds a frozen dataclass of options, named as published configurations name them, and an `nn.Module` built
from nothing else, whose `forward` takes `(batch, channels, samples)` and gives `(batch, stems, channels, samples)`.
"""
