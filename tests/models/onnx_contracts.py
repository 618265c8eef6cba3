"""Contracts of published ONNX files, and one of the files that ``models export`` writes, as tables ``onnx``."""

from __future__ import annotations

CONTRACTS = {
    "waveform": """
[[inputs]]
name = "mix"
kind = "waveform"
layout = "1 channel sample"

[[outputs]]
name = "stems"
kind = "waveform"
layout = "1 source channel sample"
""",
    "packed-mask": """
[transform]
n_fft = 2048
hop = 512
zeroed_output_bins = 1

[[inputs]]
name = "stft_features"
kind = "complex_spectrum"
layout = "1 frame (bin channel part)"

[[outputs]]
name = "mask"
kind = "complex_mask"
layout = "1 source (bin channel) frame part"
""",
    "two-spectra": """
[transform]
n_fft = 2048
hop = 512

[[inputs]]
name = "spec_real"
kind = "complex_spectrum"
layout = "1 channel bin frame"
part = "real"

[[inputs]]
name = "spec_imag"
kind = "complex_spectrum"
layout = "1 channel bin frame"
part = "imaginary"

[[outputs]]
name = "out_spec_real"
kind = "complex_spectrum"
layout = "1 source channel bin frame"
part = "real"

[[outputs]]
name = "out_spec_imag"
kind = "complex_spectrum"
layout = "1 source channel bin frame"
part = "imaginary"
""",
    "mdx-net": """
margin_samples = 3840
compensate = 1.009

[transform]
n_fft = 7680
hop = 1024
bins = 3072
zeroed_input_bins = 3

[[inputs]]
name = "input"
kind = "complex_spectrum"
layout = "1 (channel part) bin frame"

[[outputs]]
name = "output"
kind = "complex_spectrum"
layout = "1 (channel part) bin frame"
""",
    "both": """
[transform]
n_fft = 4096
hop = 1024

[[inputs]]
name = "mix"
kind = "waveform"
layout = "1 channel sample"

[[inputs]]
name = "spectrum"
kind = "complex_spectrum"
layout = "channel part bin frame"

[[outputs]]
name = "stems"
kind = "waveform"
layout = "source channel sample"

[[outputs]]
name = "spectra"
kind = "complex_spectrum"
layout = "source channel part bin frame"
""",
}
