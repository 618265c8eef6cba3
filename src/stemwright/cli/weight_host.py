"""Whether a weight file can be had from its host right now."""

from __future__ import annotations

from urllib.parse import urlsplit

from stemwright.errors import StemwrightError
from stemwright.models.weight_file import WeightFile

CONNECT_S, READ_S = 3.0, 5.0


def is_switched_off() -> bool:
    """Whether no host may be asked."""
    from stemwright.models.weight_download import is_offline

    return is_offline()


def host_state(file: WeightFile) -> str:
    """A few words: which host has the file, or why none of them does. Asks for a kilobyte of it at most."""
    from stemwright.models import url_probe
    from stemwright.models.download_errors import DownloadFault
    from stemwright.models.weight_sources import is_file_url, urls

    try:
        sources = urls(file)
    except StemwrightError as error:
        return str(error)
    faults = []
    for url in sources:
        if is_switched_off() and not is_file_url(url):
            faults.append("switched off by STEMWRIGHT_OFFLINE")
            continue
        try:
            url_probe.check(url, file, connect_s=CONNECT_S, read_s=READ_S)
        except DownloadFault as fault:
            faults.append(str(fault))
        else:
            return f"{urlsplit(url).hostname or 'the mirror'} has {file.name}"
    return "; ".join(dict.fromkeys(faults)) or f"no address of {file.name} is known"
