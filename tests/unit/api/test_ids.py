"""Public ids name a shard, a kind and a number, and nothing else parses."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openvenue.ids import IdSpace, Kind

shards = st.integers(min_value=0, max_value=2**32 - 1)
numbers = st.integers(min_value=1, max_value=2**62 - 1)
kinds = st.sampled_from(Kind)


def test_the_documented_example() -> None:
    assert IdSpace(1, Kind.ORDER).format(1234) == "00000000-0001-8000-8000-0000000004d2"


@given(shards, kinds, numbers)
def test_an_id_is_a_version_8_uuid_and_parses_back(shard: int, kind: Kind, number: int) -> None:
    space = IdSpace(shard, kind)
    text = space.format(number)
    assert UUID(text).version == 8
    assert str(UUID(text)) == text
    assert space.parse(text) == number
    assert space.parse(text.upper()) == number
    assert space.parse(UUID(text).hex) == number


@given(shards, kinds, numbers)
def test_an_id_means_nothing_in_another_space(shard: int, kind: Kind, number: int) -> None:
    text = IdSpace(shard, kind).format(number)
    assert IdSpace(shard ^ 1, kind).parse(text) is None
    assert IdSpace(shard, Kind((kind + 1) % 3)).parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 36,
        "00000000-0001-8000-8000-000000000000",
        "00000000-0001-8000-8000x0000000004d2",
        "00000000-0001-4000-8000-0000000004d2",
        "00000000-0001-8000-8000-0000000004d2 ",
    ],
)
def test_other_texts_are_no_ids(text: str) -> None:
    assert IdSpace(1, Kind.ORDER).parse(text) is None
