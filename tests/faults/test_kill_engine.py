"""Killed at any moment, the engine comes back with everything it acknowledged, and nothing twice.

OPENVENUE_KILLS sets how often it is killed (8; the soak uses 200); OPENVENUE_KILL_SEED repeats the
flow and the moments of a run.
"""

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from openvenue.engine.v1 import engine_pb2 as pb

from tests.faults.engine_process import EngineProcess
from tests.faults.traders import Trader, assert_still_there, open_market, trade_until
from tests.support.waiting import wait_for

KILLS = int(os.environ.get("OPENVENUE_KILLS", "8"))
SEED = int(os.environ.get("OPENVENUE_KILL_SEED", str(random.SystemRandom().randrange(10**6))))
SESSIONS = 4


def kill_under_load(engine: EngineProcess, traders: list[Trader], after_s: float) -> None:
    """Let the traders trade and kill the engine this long after its first acknowledgement."""

    def kill() -> None:
        wait_for(lambda: any(trader.acknowledged for trader in traders), every_s=0.01)
        time.sleep(after_s)
        engine.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    trade_until(engine, traders, threading.Event())
    killer.join()


def opened_orders(entries: list[dict[str, Any]]) -> dict[tuple[int, str], list[int]]:
    """Return the order ids that each account's client_order_id opened."""
    opened: dict[tuple[int, str], list[int]] = {}
    for entry in entries:
        command = entry["command"]
        if command["kind"] == "new_order" and entry["events"][0]["kind"] == "order_accepted":
            key = (command["account_id"], command["client_order_id"])
            opened.setdefault(key, []).append(entry["events"][0]["order_id"])
    return opened


@pytest.mark.timeout(120 + 10 * KILLS)
def test_every_acknowledged_order_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    print(f"OPENVENUE_KILL_SEED={SEED}")
    moments = random.Random(SEED)
    traders = [Trader(account_id, SEED + account_id) for account_id in range(1, SESSIONS + 1)]
    engine = EngineProcess(tmp_path).start()
    open_market(engine, [trader.account_id for trader in traders])
    try:
        for _ in range(KILLS):
            kill_under_load(engine, traders, moments.uniform(0.02, 0.6))
            if moments.random() < 0.2:  # also during recovery
                engine.spawn()
                time.sleep(moments.uniform(0, 0.1))
                engine.kill()
            verdict = engine.verify_journal()
            engine.start()
            status = engine.status()
            assert status.applied_sequence == verdict["last_sequence"]
            assert f"{status.state_hash:016x}" == verdict["state_hash"]
            for trader in traders:
                assert_still_there(engine, trader, newest=2_000)
        stop = threading.Event()
        stop.set()  # each trader only resends unanswered orders
        trade_until(engine, traders, stop)
        for trader in traders:
            assert not trader.unanswered
            assert_still_there(engine, trader, newest=len(trader.acknowledged))
        assert engine.stop() == 0
    finally:
        engine.kill()

    verdict = engine.verify_journal()
    assert verdict["ending"] == "clean"
    opened = opened_orders(engine.dump_journal())
    assert [key for key, ids in opened.items() if len(ids) > 1] == []
    for trader in traders:
        for client_order_id, order in trader.acknowledged.items():
            assert opened[trader.account_id, client_order_id] == [order.order_id]
    print(
        f"{KILLS} kills, {verdict['entries']} entries in {verdict['segments']} segments, "
        f"{sum(len(trader.acknowledged) for trader in traders)} orders acknowledged, "
        f"{sum(trader.resent for trader in traders)} sent again, "
        f"{sum(trader.found_again for trader in traders)} of them found there"
    )


def test_an_order_sent_again_after_a_restart_is_the_same_order(tmp_path: Path) -> None:
    trader = Trader(1, SEED)
    engine = EngineProcess(tmp_path).start()
    open_market(engine, [1])
    try:
        kill_under_load(engine, [trader], 0.2)
        engine.start()
        (client_order_id, order) = next(iter(trader.acknowledged.items()))
        entry = engine.dump_journal()[order.order_id - 1]
        assert entry["command"]["client_order_id"] == client_order_id
        fields = {name: entry["command"][name] for name in ("qty_lots", "limit_price_ticks")}
        again = pb.NewOrder(
            account_id=1,
            instrument_id=order.instrument_id,
            side=order.side,
            type=order.type,
            time_in_force=order.time_in_force,
            client_order_id=client_order_id,
            **fields,
        )
        replies = [engine.submit(pb.Request(request_id=1, new_order=again))[0] for _ in range(3)]
    finally:
        engine.kill()
    assert [reply.duplicate for reply in replies] == [True, True, True]
    assert Counter(reply.order.order_id for reply in replies) == {order.order_id: 3}
