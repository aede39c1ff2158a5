"""The words are those of the wire contract, each in one place."""

from typing import Any, get_args

import pytest
from openvenue import vocabulary
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.vocabulary import UnknownEnumerator, Words


@pytest.mark.parametrize(
    ("words", "literal"),
    [
        (vocabulary.SIDES, vocabulary.Side),
        (vocabulary.ORDER_TYPES, vocabulary.OrderType),
        (vocabulary.TIMES_IN_FORCE, vocabulary.TimeInForce),
        (vocabulary.ORDER_STATUSES, vocabulary.OrderStatus),
        (vocabulary.ASSET_CLASSES, vocabulary.AssetClass),
        (vocabulary.POSITION_INTENTS, vocabulary.PositionIntent),
        (vocabulary.SELF_TRADE_PREVENTIONS, vocabulary.SelfTradePrevention),
    ],
)
def test_types_name_every_enumerator(words: Words[Any], literal: Any) -> None:
    assert set(words.values()) == set(get_args(literal))
    assert {words[number] for number in words.numbers.values()} == set(words.numbers)


def test_an_order_that_waits_is_new_to_clients_and_new_is_not_waiting() -> None:
    assert vocabulary.ORDER_STATUSES[pb.ORDER_STATUS_WAITING] == "new"
    assert vocabulary.ORDER_STATUSES.numbers["new"] == pb.ORDER_STATUS_NEW


@pytest.mark.parametrize("number", [0, 99])
def test_an_enumerator_without_a_word_is_named(number: int) -> None:
    with pytest.raises(UnknownEnumerator, match=f"this version knows no time in force {number}"):
        vocabulary.TIMES_IN_FORCE[number]


def test_reasons_of_refusals_end_no_order() -> None:
    assert "day_ended" in vocabulary.END_REASONS.numbers
    assert "insufficient_cash" not in vocabulary.END_REASONS.numbers
