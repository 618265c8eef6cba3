"""Published separation networks, one self-contained file each: options in, waveforms to waveforms.

Each file has a frozen dataclass of options with the names of published configurations, and an `nn.Module` built from
it, whose `forward` maps `(batch, channels, samples)` to `(batch, stems, channels, samples)`.
"""

import os

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
"""Disables AMX; must be set before torch first queries it. With torch 2.13 and AMX, half-precision HTDemucs has an
error of 30 % of its energy (`test_half_precision_stays_close`); without AMX it is less than 0.1 %."""
