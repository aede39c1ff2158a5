"""A file system of a few megabytes, and orders that fill it."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from openvenue.engine.v1 import engine_pb2 as pb

from tests.faults.engine_process import EngineProcess
from tests.faults.traders import INSTRUMENT_ID

BATCH = 500
MIB = 1 << 20


@contextlib.contextmanager
def small_disk(path: Path, mebibytes: int) -> Iterator[Path]:
    """Mount a memory file system of so many MiB at `path`; skips where that is not allowed."""
    path.mkdir(exist_ok=True)
    size = f"size={mebibytes}m"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting needs root: {mounted.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def enlarge(path: Path, mebibytes: int) -> None:
    """Give the file system more room, as a cloud's volume gets it."""
    subprocess.run(["mount", "-o", f"remount,size={mebibytes}m", str(path)], check=True)


def new_orders(account_id: int, first: int, count: int = BATCH) -> list[pb.Request]:
    """Return resting orders with the client ids order-`first` and following."""
    return [
        pb.Request(
            request_id=number,
            new_order=pb.NewOrder(
                account_id=account_id,
                instrument_id=INSTRUMENT_ID,
                side=pb.SIDE_BUY,
                type=pb.ORDER_TYPE_LIMIT,
                time_in_force=pb.TIME_IN_FORCE_GTC,
                qty_lots=1,
                limit_price_ticks=100,
                client_order_id=f"order-{number}",
            ),
        )
        for number in range(first, first + count)
    ]


def fill_until_refused(engine: EngineProcess, account_id: int, first: int = 1) -> list[pb.Reply]:
    """Enter orders until the engine refuses one; return all replies, in order."""
    replies: list[pb.Reply] = []
    for batch in range(400):
        replies += engine.submit(*new_orders(account_id, first + batch * BATCH))
        if replies[-1].HasField("not_sequenced"):
            return replies
    raise AssertionError("the disk does not fill")
