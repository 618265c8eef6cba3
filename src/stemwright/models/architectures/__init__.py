"""Published separation networks, one self-contained file each: options in, waveforms to waveforms.

Each file holds a frozen dataclass of options, named as published configurations name them, and an `nn.Module` built
from nothing else, whose `forward` takes `(batch, channels, samples)` and gives `(batch, stems, channels, samples)`.
"""

import os

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
"""No AMX, set before torch first asks for it: with torch 2.13 on a Xeon that has it, half floats put HTDemucs off by 30 % of
its energy (`test_half_precision_stays_close`), without it by less than 0.1 %."""
