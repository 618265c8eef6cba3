"""Imports the WORLD vocoder without the warning that pyworld causes through pkg_resources."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyworld as pyworld

__all__ = ["pyworld"]
