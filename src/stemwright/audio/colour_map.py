"""A colour map whose neighbouring colours all differ by the same amount to the eye, and its mixture with grey.

A path through OKLab (Ottosson 2020, a colour space in which distances are what people see), from near black through violet,
red and orange to near white: lightness rises all the way, so that it reads in grey and for colour-blind people too.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.uint8]
"""``(n, 3)``, red, green and blue of sRGB."""

LIGHTNESS = (0.13, 0.97)
HUES_DEG = (285.0, 465.0)
"""OKLab hues at both ends: violet, and yellow after one turn."""
MOST_CHROMA = 0.175
GREY_LIGHTNESS = 0.65
"""Of the grey in a mixture, against that of the colour: what is coloured stands out."""
STEPS = 4096
"""Points of the path before it is cut into equal steps."""

_LMS_OF_LAB = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_RGB_OF_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def path(n: int) -> NDArray[np.float64]:
    """The colours of the map in OKLab, ``(n, 3)``, at equal distances."""
    along = np.linspace(0, 1, STEPS)
    lightness = LIGHTNESS[0] + along * (LIGHTNESS[1] - LIGHTNESS[0])
    chroma = MOST_CHROMA * np.sin(np.pi * along) ** 0.8
    hue = np.deg2rad(HUES_DEG[0] + along * (HUES_DEG[1] - HUES_DEG[0]))
    fine = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    wanted = np.linspace(0, lengths[-1], n)
    return np.stack([np.interp(wanted, lengths, fine[:, axis]) for axis in range(3)], axis=1)


def linear_rgb(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKLab ``(n, 3)`` as linear red, green and blue; what sRGB cannot show lies outside 0 to 1."""
    linear: NDArray[np.float64] = (lab @ _LMS_OF_LAB.T) ** 3 @ _RGB_OF_LMS.T
    return linear


def srgb(lab: NDArray[np.float64]) -> Colours:
    """OKLab ``(n, 3)`` as sRGB."""
    linear = np.clip(linear_rgb(lab), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    colours: Colours = np.rint(255 * encoded).astype(np.uint8)
    return colours


@cache
def colour_map(n: int) -> Colours:
    """``n`` colours, dark to bright."""
    return srgb(path(n))


@cache
def mixed_map(n_levels: int, n_shares: int) -> Colours:
    """``(n_levels * n_shares, 3)``: for each share, from none to all, the levels from grey to the colours of the map."""
    colours = path(n_levels)
    grey = colours * [GREY_LIGHTNESS, 0, 0]
    shares = np.linspace(0, 1, n_shares)[:, None, None]
    return srgb((grey + shares * (colours - grey)).reshape(-1, 3))
