"""An exception in a log line or an answer always has a text."""

import asyncio
import ssl

import asyncpg
import pytest
from openvenue.reasons import reason_of
from sqlalchemy.exc import DBAPIError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (asyncio.CancelledError(), "CancelledError"),
        (OSError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (ConnectionResetError(), "ConnectionResetError"),
        (KeyError("x"), "KeyError: 'x'"),
        (ssl.SSLError(), "SSLError: ()"),
        (asyncpg.InterfaceError("two\nlines"), "two lines"),
        (DBAPIError("SELECT secret", {"hash": "hush"}, TimeoutError()), "no answer in time"),
    ],
)
def test_the_words_of_an_exception(error: BaseException, words: str) -> None:
    assert reason_of(error) == words


def test_the_drivers_message_comes_before_its_wrappers() -> None:
    adapted = OSError("adapted")
    adapted.__cause__ = asyncpg.QueryCanceledError("canceling statement due to user request")
    wrapped = DBAPIError("SELECT secret", {}, adapted)
    assert reason_of(wrapped) == "canceling statement due to user request"
