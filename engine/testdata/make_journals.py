"""Make journals as an older engine leaves them behind, in FOLDER/closed and FOLDER/killed.

    python make_journals.py PATH_TO_OPENVENUE_ENGINE FOLDER

journal-v5 was made with the binary of git 588656e, the last one that wrote format 5. Earlier forms
of this script made journal-v4 with that of a762011, journal-v3 with that of 9ce1a95, and journal-v2
with that of 024aaad. Do not make them again with a later engine.

  closed   several segments, two snapshots, two starts, every kind of command and event, a clean end
  killed   one segment, no snapshot, killed right after an answer: no clean end

Beside each: expected.json, what that binary's own `journal verify` found, and the lines that its
`journal dump` printed (of `closed` without the rejected orders that fill its segments).
"""

import gzip
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from openvenue.engine.v1 import engine_pb2 as pb
from openvenue.engine.v1 import engine_pb2_grpc as rpc

TOKEN = "an-administrator-of-tests"
AS_OPS = [("authorization", f"Bearer {TOKEN}")]
UNKNOWN_ACCOUNT = 999
FILLER = "x" * 100  # its orders are rejected; they fill segments and compress well

LIMITS = ["--max-accounts", "64", "--max-instruments", "16", "--max-positions", "256"]
LIMITS += ["--max-fills", "8"]


class Engine:
    """`openvenue-engine serve` on one directory."""

    def __init__(self, binary: str, data: Path, *options: str) -> None:
        self._binary = binary
        self.data = data
        port_file, admin_port_file = data.with_suffix(".port"), data.with_suffix(".admin-port")
        port_file.unlink(missing_ok=True)
        tokens = data.with_suffix(".tokens")
        tokens.mkdir(exist_ok=True)
        (tokens / "ops").write_text(TOKEN)
        far_off = time.strftime("%H:%M", time.gmtime(time.time() + 12 * 3600))
        command = [binary, "serve", "--data-dir", str(data), "--listen", "127.0.0.1:0"]
        command += ["--metrics-listen", "", "--port-file", str(port_file)]
        command += ["--admin-listen", "127.0.0.1:0", "--admin-port-file", str(admin_port_file)]
        command += ["--admin-tokens", str(tokens)]
        command += ["--day-end-utc", far_off, "--segment-bytes", str(1 << 20), *LIMITS, *options]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        while not port_file.exists():
            assert self.process.poll() is None, "the engine does not serve"
            time.sleep(0.01)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port_file.read_text().strip()}")
        admin_port = admin_port_file.read_text().strip()
        self._admin_channel = grpc.insecure_channel(f"127.0.0.1:{admin_port}")
        self._admin = rpc.AdminStub(self._admin_channel)
        self._trading = rpc.TradingStub(self._channel)
        self._requests = 0

    def apply(self, **command: Any) -> pb.AdminResponse:
        return self._admin.Apply(pb.AdminRequest(**command), timeout=10, metadata=AS_OPS)

    def take_snapshot(self) -> None:
        self._admin.TakeSnapshot(pb.TakeSnapshotRequest(), timeout=30, metadata=AS_OPS)

    def submit(self, *bodies: dict[str, Any]) -> list[pb.Reply]:
        requests = [pb.Request(request_id=index, **body) for index, body in enumerate(bodies)]
        response = self._trading.Submit(pb.SessionRequest(requests=requests), timeout=30)
        return sorted(response.replies, key=lambda reply: reply.request_id)

    def order(self, account: int, client_order_id: str, **terms: Any) -> pb.Reply:
        defaults = {
            "account_id": account,
            "instrument_id": 1,
            "side": pb.SIDE_BUY,
            "type": pb.ORDER_TYPE_LIMIT,
            "time_in_force": pb.TIME_IN_FORCE_GTC,
            "qty_lots": 10,
            "limit_price_ticks": 1000,
            "client_order_id": client_order_id,
        }
        return self.submit({"new_order": pb.NewOrder(**{**defaults, **terms})})[0]

    def cancel(self, account: int, order_id: int) -> pb.Reply:
        return self.submit({"cancel_order": pb.CancelOrder(account_id=account, order_id=order_id)})[
            0
        ]

    def replace(self, account: int, order_id: int, client_order_id: str, **terms: Any) -> pb.Reply:
        body = pb.ReplaceOrder(
            account_id=account, order_id=order_id, client_order_id=client_order_id, **terms
        )
        return self.submit({"replace_order": body})[0]

    def cancel_many(self, account: int, **which: Any) -> pb.Reply:
        return self.submit({"cancel_orders": pb.CancelOrders(account_id=account, **which)})[0]

    def fill_segments(self, batches: int, tag: str) -> None:
        for batch in range(batches):
            yielded = filler(tag, batch)
            replies = self.submit(*yielded)
            assert all(reply.reject.reason == pb.REASON_UNKNOWN_ACCOUNT for reply in replies)

    def stop(self) -> None:
        self._channel.close()
        self._admin_channel.close()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._channel.close()
        self._admin_channel.close()


def filler(tag: str, batch: int) -> Iterator[dict[str, Any]]:
    return (
        {
            "new_order": pb.NewOrder(
                account_id=UNKNOWN_ACCOUNT,
                instrument_id=1,
                side=pb.SIDE_BUY,
                type=pb.ORDER_TYPE_LIMIT,
                time_in_force=pb.TIME_IN_FORCE_DAY,
                qty_lots=1,
                limit_price_ticks=1000,
                client_order_id=f"{FILLER}-{tag}",
            )
        }
        for _ in range(1000)
    )


def open_market(engine: Engine) -> None:
    for number, symbol in [(1, "TEST"), (2, "BTC/USD"), (3, "IDLE")]:
        crypto = "/" in symbol
        terms = pb.DefineInstrument(
            instrument_id=number,
            symbol=symbol,
            name="Prüfling" if number == 1 else "",
            asset_class=pb.ASSET_CLASS_CRYPTO if crypto else pb.ASSET_CLASS_US_EQUITY,
            state=pb.INSTRUMENT_STATE_INACTIVE if number == 3 else pb.INSTRUMENT_STATE_ACTIVE,
            tick_size_nanos=10_000_000,
            lot_size_nanos=1_000_000 if crypto else 1_000_000_000,
            min_price_ticks=1,
            max_price_ticks=100_000,
            max_order_qty_lots=1_000_000,
        )
        engine.apply(define_instrument=terms)
    engine.apply(
        define_instrument=pb.DefineInstrument(
            instrument_id=4,
            symbol="BAD",
            asset_class=pb.ASSET_CLASS_CRYPTO,
            state=pb.INSTRUMENT_STATE_ACTIVE,
        )
    )
    for account, short in [(1, True), (2, True), (3, False)]:
        engine.apply(
            open_account=pb.OpenAccount(
                account_id=account,
                name=f"desk {account}",
                may_sell_short=short,
                credit_limit_micros=10**12 if short else 0,
            )
        )
        engine.apply(adjust_balance=pb.AdjustBalance(account_id=account, amount_micros=5 * 10**10))
    engine.apply(adjust_balance=pb.AdjustBalance(account_id=3, amount_micros=-(10**10)))
    engine.apply(adjust_balance=pb.AdjustBalance(account_id=3, amount_micros=-(10**13)))
    engine.apply(
        adjust_position=pb.AdjustPosition(
            account_id=3, instrument_id=1, qty_lots=500, cost_micros=4 * 10**9
        )
    )


def trade(engine: Engine, tag: str) -> None:
    """Orders of every kind, with every outcome that this small market can give."""
    sell = {"side": pb.SIDE_SELL}
    resting = [engine.order(1, f"{tag}-bid-{n}", limit_price_ticks=990 + n) for n in range(5)]
    asks = [
        engine.order(3, f"{tag}-ask-{n}", limit_price_ticks=1010 + n, **sell) for n in range(12)
    ]
    engine.order(1, f"{tag}-bid-0", limit_price_ticks=990)  # a duplicate
    engine.order(1, f"{tag}-bid-0", limit_price_ticks=991)  # the same id with another body
    engine.order(2, f"{tag}-cross", limit_price_ticks=1012, qty_lots=25)
    engine.order(
        2,
        f"{tag}-market",
        type=pb.ORDER_TYPE_MARKET,
        limit_price_ticks=0,
        time_in_force=pb.TIME_IN_FORCE_IOC,
        qty_lots=3,
    )
    engine.order(2, f"{tag}-ioc", limit_price_ticks=1, time_in_force=pb.TIME_IN_FORCE_IOC)
    engine.order(2, f"{tag}-fok", qty_lots=9_000, time_in_force=pb.TIME_IN_FORCE_FOK)
    engine.order(
        2,
        f"{tag}-crypto",
        instrument_id=2,
        type=pb.ORDER_TYPE_MARKET,
        limit_price_ticks=0,
        time_in_force=pb.TIME_IN_FORCE_IOC,
    )
    for client_order_id, terms in {
        f"{tag}-unknown-instrument": {"instrument_id": 77},
        f"{tag}-inactive": {"instrument_id": 3},
        f"{tag}-quantity": {"qty_lots": 0},
        f"{tag}-price": {"limit_price_ticks": 10**9},
        f"{tag}-cash": {"qty_lots": 1_000_000, "limit_price_ticks": 99_000},
        f"{tag}-position": {"qty_lots": 1_000_000, "account_id": 3, **sell},
    }.items():
        engine.order(1, client_order_id, **terms)
    engine.replace(1, resting[0].order.order_id, f"{tag}-kept", qty_lots=5)
    engine.replace(
        1,
        resting[1].order.order_id,
        f"{tag}-moved",
        limit_price_ticks=1013,
        time_in_force=pb.TIME_IN_FORCE_DAY,
    )
    engine.replace(1, resting[1].order.order_id, f"{tag}-late", qty_lots=5)
    engine.cancel(1, resting[2].order.order_id)
    engine.cancel(1, resting[2].order.order_id)
    engine.cancel(2, 10**6)
    for n in range(20):  # more DAY orders than one command may expire
        engine.order(
            2,
            f"{tag}-day-{n}",
            limit_price_ticks=900,
            qty_lots=1,
            time_in_force=pb.TIME_IN_FORCE_DAY,
        )
    for n in range(10):
        engine.order(2, f"{tag}-small-{n}", limit_price_ticks=980, qty_lots=1)
    engine.order(1, f"{tag}-sweep", limit_price_ticks=980, qty_lots=100, **sell)  # the fill limit
    engine.order(3, f"{tag}-intent", position_intent=pb.POSITION_INTENT_SELL_TO_OPEN, **sell)
    engine.order(
        3,
        f"{tag}-closes",
        limit_price_ticks=2000,
        position_intent=pb.POSITION_INTENT_SELL_TO_CLOSE,
        **sell,
    )
    give_instructions(engine, tag)
    wait_for_stop_prices(engine, tag)
    suspend(engine, tag)
    engine.cancel_many(2, side=pb.SIDE_SELL)
    engine.cancel_many(3, instrument_id=1)
    engine.apply(end_trading_day=pb.EndTradingDay())
    engine.cancel(3, asks[-1].order.order_id)


def give_instructions(engine: Engine, tag: str) -> None:
    """Orders that are post-only, and orders that would trade with their own account's."""
    engine.order(1, f"{tag}-post", limit_price_ticks=1, post_only=True)
    engine.order(1, f"{tag}-post-trades", limit_price_ticks=99_000, qty_lots=1, post_only=True)
    for word in ("BOTH", "NEWEST", "OLDEST"):  # the last one leaves no bid, and an ask
        engine.order(2, f"{tag}-{word}-rests", limit_price_ticks=1005, qty_lots=2)
        engine.order(
            2,
            f"{tag}-{word}-comes",
            side=pb.SIDE_SELL,
            limit_price_ticks=1005,
            qty_lots=3,
            self_trade_prevention=f"SELF_TRADE_PREVENTION_CANCEL_{word}",
        )


def wait_for_stop_prices(engine: Engine, tag: str) -> None:
    """Stop orders that a trade reaches, that go on waiting, are replaced and are canceled."""
    sell = {"side": pb.SIDE_SELL}

    def deal(name: str, price: int) -> None:
        here = {"instrument_id": 2, "qty_lots": 1, "limit_price_ticks": price}
        engine.order(1, f"{tag}-{name}-sell", **here, **sell)
        engine.order(2, f"{tag}-{name}-buy", **here)

    def stop(name: str, price: int, **terms: Any) -> int:
        here = {"instrument_id": 2, "type": pb.ORDER_TYPE_STOP, "stop_price_ticks": price, **terms}
        reply = engine.order(1, f"{tag}-{name}", **here)
        return reply.order.order_id

    deal("base", 1000)
    stop("stop-waits", 2000, limit_price_ticks=2100)
    stop("stop-day", 900, limit_price_ticks=0, time_in_force=pb.TIME_IN_FORCE_DAY, **sell)
    stop("stop-reached", 1010, limit_price_ticks=1100)
    stop("stop-limit", 1010, type=pb.ORDER_TYPE_STOP_LIMIT, limit_price_ticks=1005)
    engine.cancel(1, stop("stop-canceled", 950, limit_price_ticks=0, **sell))
    moved = stop("stop-moved", 1500, limit_price_ticks=1600)
    engine.replace(1, moved, f"{tag}-stop-farther", stop_price_ticks=1550)
    deal("reaches", 1012)
    stop("stop-at-once", 1000, limit_price_ticks=1050)


def suspend(engine: Engine, tag: str) -> None:
    """An account that stays suspended, and the venue for a while."""
    if tag in ("first", "only"):
        engine.apply(open_account=pb.OpenAccount(account_id=4, name="suspended"))
        engine.apply(suspend_trading=pb.SuspendTrading(account_id=4, suspended=True))
    engine.order(4, f"{tag}-of-suspended")
    engine.apply(suspend_trading=pb.SuspendTrading(suspended=True))
    engine.order(1, f"{tag}-while-suspended")
    engine.apply(suspend_trading=pb.SuspendTrading())


def journal(binary: str, tool: str, data: Path, *options: str) -> str:
    command = [binary, "journal", tool, str(data), *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def keep(binary: str, data: Path, folder: Path) -> None:
    """Put the journal's files, compressed, and what the binary says of it into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for file in sorted([*data.glob("journal-*.ovj"), *data.glob("snapshot-*.ovs")]):
        (folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
    verdict = json.loads(journal(binary, "verify", data, "--json"))
    (folder / "expected.json").write_text(json.dumps(verdict, indent=1) + "\n")
    lines = [line for line in journal(binary, "dump", data).splitlines() if FILLER not in line]
    text = "\n".join(lines) + "\n"
    (folder / "dump.jsonl.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def make_closed(binary: str, data: Path) -> None:
    engine = Engine(binary, data, "--max-orders", "1024", "--snapshot-interval", "0")
    open_market(engine)
    trade(engine, "first")
    engine.fill_segments(6, "first")
    engine.take_snapshot()
    trade(engine, "second")
    engine.stop()
    # Other limits: a second Configure.
    engine = Engine(binary, data, "--max-orders", "2048", "--snapshot-interval", "0")
    engine.fill_segments(6, "second")
    trade(engine, "third")
    engine.take_snapshot()
    trade(engine, "fourth")
    engine.stop()


def make_killed(binary: str, data: Path) -> None:
    engine = Engine(binary, data, "--max-orders", "1024")
    open_market(engine)
    trade(engine, "only")
    engine.kill()
    # Right after an answer: with nothing to do, the engine marks a clean end within 20 ms.
    assert json.loads(journal(binary, "stats", data, "--json"))["ending"] == "open", "try again"


def main() -> None:
    binary, folder = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        for make in (make_closed, make_killed):
            data = Path(scratch) / make.__name__.removeprefix("make_")
            make(binary, data)
            keep(binary, data, folder / data.name)


if __name__ == "__main__":
    main()
