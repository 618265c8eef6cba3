"""Requests about an account: credits, keys, usage, deliveries."""

from __future__ import annotations

from collections.abc import Iterable

from stemwright import arguments
from stemwright.client.account_records import (
    Account,
    AccountDelivery,
    Credits,
    DayUsage,
    Delivery,
    Key,
    NewKey,
    read_account,
    read_credits,
    read_delivery,
)
from stemwright.client.calls import Call, nothing, page_query
from stemwright.client.records import Page, read_record


def deliveries(separation_id: str) -> Call[list[Delivery]]:
    """The log of a callback."""
    return Call(
        "GET",
        f"/v1/separations/{separation_id}/deliveries",
        lambda reply: [read_delivery(delivery) for delivery in reply["deliveries"]],
    )


def replay(separation_id: str) -> Call[Delivery]:
    """Sends a callback once more."""
    return Call("POST", f"/v1/separations/{separation_id}/deliveries/replay", read_delivery, repeatable=False)


def account() -> Call[Account]:
    """The account of the key."""
    return Call("GET", "/v1/account", read_account)


def credits_left() -> Call[Credits]:
    """The credits of the account."""
    return Call("GET", "/v1/credits", read_credits)


def keys() -> Call[list[Key]]:
    """The keys in use."""
    return Call("GET", "/v1/keys", lambda reply: [read_record(Key, key) for key in reply["keys"]])


def create_key(name: str, scopes: Iterable[str]) -> Call[NewKey]:
    """A new key."""
    body = {"name": arguments.text(name, "name"), "scopes": arguments.words(scopes, "scopes")}
    return Call("POST", "/v1/keys", lambda reply: read_record(NewKey, reply), body, repeatable=False)


def revoke_key(key_id: str) -> Call[None]:
    """Revokes a key."""
    return Call("DELETE", f"/v1/keys/{key_id}", nothing)


def usage(days: int) -> Call[list[DayUsage]]:
    """The use of each day."""
    query = {"days": str(arguments.whole(days, "days", "days", lowest=1, highest=366))}
    return Call("GET", "/v1/usage", lambda reply: [read_record(DayUsage, day) for day in reply["days"]], query=query)


def all_deliveries(after: str | None) -> Call[Page[AccountDelivery]]:
    """A page of the attempts of all separations."""
    return Call(
        "GET",
        "/v1/deliveries",
        lambda reply: Page(tuple(read_record(AccountDelivery, one) for one in reply["deliveries"]), reply["next"]),
        query=page_query(after),
    )
