"""The WORLD vocoder, imported quietly: pyworld asks pkg_resources for its version, and that warns."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyworld as pyworld

__all__ = ["pyworld"]
