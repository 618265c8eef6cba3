"""Server-sent events, line by line."""

from __future__ import annotations

import json

from stemwright.client.records import Separation, read_separation


class EventReader:
    """Assembles events from lines; keeps the last event id for a reconnect."""

    def __init__(self) -> None:
        self.last_id = ""
        self._data: list[str] = []

    def begin(self) -> dict[str, str]:
        """Begins a stream; gives the headers of its request, so that what was seen is left out."""
        self._data.clear()
        headers = {"Accept": "text/event-stream"}
        return {**headers, "Last-Event-ID": self.last_id} if self.last_id else headers

    def feed(self, line: str) -> Separation | None:
        """Takes a line; gives the separation that an event carries when it is whole."""
        if not line:
            data, self._data = "\n".join(self._data), []
            return read_separation(json.loads(data)) if data else None
        name, _, value = line.partition(":")  # a comment has no name
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self.last_id = value
        return None
