"""The bodies that enter and replace orders, and the treatment of further fields.

A field that would change what the order does is refused, never dropped. A field that only describes
the order is ignored. A field that is null or false counts as absent.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, TypeGuard, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openvenue import vocabulary
from openvenue.http import problems
from openvenue.http.json_body import malformed, refuse_repeated_keys, sentence

_NULL = msgspec.Raw(b"null")
_ABSENT = (b"null", b"false")
_ORDER_CLASSES = (None, "", "simple")

CLIENT_ORDER_ID_CHARACTERS_MAX = 128
# Characters that are not printable: controls, formats, private ones, and separators except the
# space. Python and JavaScript do not share \p, so they stand as ranges; nor do they share \u for
# those in the last part. The venue refuses characters that Unicode has not assigned, too, but they
# are too many to name, and become fewer.
_NOT_PRINTABLE = (
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u1680"
    r"\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ue000-\uf8ff\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0001\U000e0020-\U000e007f\U000f0000-\U0010ffff"
)
CLIENT_ORDER_ID_SCHEMA = {
    "pattern": f"^[^{_NOT_PRINTABLE}]*$",
    "maxLength": CLIENT_ORDER_ID_CHARACTERS_MAX,
}
"""The JSON schema of a client_order_id; it cannot say that its bytes in UTF-8 are bounded, too."""

# Alpaca's fields for features that this venue lacks, each with advice.
_REFUSED = {
    name: f"is not supported by this venue: {advice}"
    for name, advice in {
        "notional": "give qty, a number of shares or coins",
        "trail": "give trail_price or trail_percent",
        "take_profit": "order_class is simple",
        "stop_loss": "order_class is simple",
        "legs": "order_class is simple",
        "advanced_instructions": "an order is shown in full and goes to this venue's book",
    }.items()
}
_FIXED = dict.fromkeys(
    (
        "symbol",
        "side",
        "type",
        "order_class",
        "extended_hours",
        "position_intent",
        "self_trade_prevention",
        "post_only",
    ),
    "cannot be replaced: cancel the order and submit another",
) | dict.fromkeys(("trail_price", "trail_percent"), "is replaced by the field trail")
# A field of any other name is refused if the name contains one of these words (stopPrice,
# postOnly, displayQty): it means a price, a quantity, a restriction or the order's identity. Any
# other is ignored, as Alpaca ignores it (subtag, source).
_TELLING_WORD = re.compile(
    "price|qty|quantity|size|amount|notional|cost|value|percent|offset|peg|pegged"
    "|stop|trail|trailing|trigger|limit|take|profit|loss|leg|legs|bracket|oco|oto|oso"
    "|only|post|prevention|stp|reduce|maker|hidden|iceberg|display|displayed|visible|reserve|min|max"
    "|activation|condition|conditional|contingent|leverage|margin"
    "|expire|expires|expiry|expiration|gtd|good|force|tif"
    "|class|intent|instructions|algorithm|algo|strategy|client"
)
_WORDS_OF_A_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def _decimal(meaning: str) -> Meta:
    return Meta(
        description=f"{meaning} A decimal, as a string or a number; never read as a float.",
        extra_json_schema={"oneOf": [{"type": "string"}, {"type": "number"}]},
    )


def _word(words: vocabulary.Words[Any]) -> Meta:
    return Meta(extra_json_schema={"enum": list(words.values())})


_ClientOrderId = Annotated[
    str | None,
    Meta(
        description="Of your own choice: printable characters, at most 128, and 128 bytes in "
        "UTF-8. Empty is as absent.",
        extra_json_schema=CLIENT_ORDER_ID_SCHEMA,
    ),
]


class NewOrderRequest(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """An order to enter. Numbers may be strings; they are converted exactly."""

    symbol: Annotated[str, Meta(description="Symbol or asset id.")]
    side: Annotated[str, _word(vocabulary.SIDES)]
    type: Annotated[str, _word(vocabulary.ORDER_TYPES)]
    time_in_force: Annotated[str, _word(vocabulary.TIMES_IN_FORCE)]
    qty: Annotated[msgspec.Raw, _decimal("Number of shares or coins.")]
    limit_price: (
        Annotated[
            msgspec.Raw, _decimal("Required for limit and stop_limit orders, and only there.")
        ]
        | UnsetType
    ) = UNSET
    stop_price: (
        Annotated[
            msgspec.Raw,
            _decimal(
                "Required for stop and stop_limit orders, and only there: the order waits until a "
                "trade is at this price or beyond."
            ),
        ]
        | UnsetType
    ) = UNSET
    trail_price: (
        Annotated[
            msgspec.Raw,
            _decimal(
                "Of trailing_stop orders, which take this or trail_percent: how far the stop price "
                "stays below the highest price of a trade since the order opened (above the lowest "
                "one, if it buys)."
            ),
        ]
        | UnsetType
    ) = UNSET
    trail_percent: (
        Annotated[
            msgspec.Raw,
            _decimal("The same in percent of that price, with up to four decimals, below 100."),
        ]
        | UnsetType
    ) = UNSET
    client_order_id: _ClientOrderId = None
    order_class: Annotated[str | None, Meta(extra_json_schema={"enum": ["simple", "", None]})] = (
        None
    )
    extended_hours: Annotated[
        bool | None,
        Meta(description="Without effect, and shown as false: the venue is always open."),
    ] = None
    position_intent: Annotated[
        str | None,
        Meta(
            description="What the order is to do to the position; refused if it would not.",
            extra_json_schema={"enum": [*vocabulary.POSITION_INTENTS.values(), None]},
        ),
    ] = None
    self_trade_prevention: Annotated[
        str | None,
        Meta(
            description="What is canceled where the order, or one that replaces it, would trade "
            "with an order of the same account: the order itself, the one in the book, or both. "
            "Absent: they trade.",
            extra_json_schema={"enum": [*vocabulary.SELF_TRADE_PREVENTIONS.values(), None]},
        ),
    ] = None
    post_only: Annotated[
        bool | None,
        Meta(
            description="Refuse the order, and one that replaces it, if it would trade at once. "
            "Only for limit orders of `day` or `gtc`."
        ),
    ] = None


class ReplaceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The changeable fields of an order; absent fields stay."""

    qty: Annotated[msgspec.Raw, _decimal("New total, filled part included.")] | UnsetType = UNSET
    limit_price: Annotated[msgspec.Raw, _decimal("New limit.")] | UnsetType = UNSET
    stop_price: (
        Annotated[msgspec.Raw, _decimal("New stop price, of an order that waits for it.")]
        | UnsetType
    ) = UNSET
    trail: (
        Annotated[
            msgspec.Raw,
            _decimal("New trail_price or trail_percent, of a trailing_stop order that waits."),
        ]
        | UnsetType
    ) = UNSET
    time_in_force: Annotated[
        str | None, Meta(extra_json_schema={"enum": [*vocabulary.TIMES_IN_FORCE.values(), None]})
    ] = None
    client_order_id: _ClientOrderId = None


Request = TypeVar("Request", NewOrderRequest, ReplaceRequest)


class BodyDecoder(Generic[Request]):
    """Decodes one kind of body. Calls raise Problem: 400 if it is no JSON, 422 if it is invalid."""

    def __init__(self, request: type[Request], refused: Mapping[str, str]) -> None:
        self._decode: Callable[[bytes], Request] = msgspec.json.Decoder(request).decode
        self._known = frozenset(request.__struct_fields__)
        self._quoted = tuple(f'"{name}"'.encode() for name in request.__struct_fields__)
        self._refused = refused

    def __call__(self, body: bytes) -> Request:
        """Return the request of a body."""
        try:
            decoded = self._decode(body)
        except msgspec.ValidationError:
            return self._decode_known(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed(body, error) from None
        if self._may_repeat(body):
            refuse_repeated_keys(body)
        return decoded

    def _may_repeat(self, body: bytes) -> bool:
        """False for nearly every body: no field of it can be repeated."""
        return b"\\" in body or any(body.count(name) > 1 for name in self._quoted)

    def _decode_known(self, body: bytes) -> Request:
        """Return the request without its unknown fields, or raise its Problem."""
        try:
            fields = _decode_fields(body)
            refuse_repeated_keys(body)
            for name, value in fields.items():
                self._check(name, value)
            if "order_class" in self._known and "order_class" in fields:
                # Checked before missing fields: an order of several legs has no symbol.
                check_order_class(msgspec.json.decode(fields["order_class"]))
            known = {name: value for name, value in fields.items() if name in self._known}
            return self._decode(msgspec.json.encode(known))
        except msgspec.ValidationError as error:
            raise problems.invalid(sentence(str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed(body, error) from None

    def _check(self, name: str, value: msgspec.Raw) -> None:
        if name in self._known or bytes(value) in _ABSENT:
            return
        if name in self._refused:
            raise problems.invalid(f"{name} {self._refused[name]}")
        if tells_terms(name):
            raise problems.invalid(
                f"{name} is not known to this venue and would be without effect: leave it out"
            )


def check_order_class(order_class: object) -> None:
    """Refuse orders of several legs. Raises Problem 422."""
    if order_class not in _ORDER_CLASSES:
        raise problems.invalid(f"order_class {order_class!r} is not supported: use simple")


def tells_terms(name: str) -> bool:
    """True if a field of this name would seem to change what an order does."""
    return any(_TELLING_WORD.fullmatch(word.lower()) for word in _WORDS_OF_A_NAME.findall(name))


def given(raw: msgspec.Raw | UnsetType) -> TypeGuard[msgspec.Raw]:
    """True if a field is present and not null."""
    return raw is not UNSET and raw != _NULL


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
decode_new_order = BodyDecoder(NewOrderRequest, _REFUSED)
decode_replace = BodyDecoder(ReplaceRequest, {**_REFUSED, **_FIXED})
