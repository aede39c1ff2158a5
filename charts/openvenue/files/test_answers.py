"""`helm test`: whether API and streams answer, and the API looks up keys before it refuses them."""

import os
import sys
import time
import urllib.error
import urllib.request

URL = os.environ["OPENVENUE_URL"]
STREAM_URL = os.environ.get("OPENVENUE_STREAM_URL")
PATIENCE_S = float(os.environ.get("OPENVENUE_TEST_PATIENCE_S", "60"))


def status_of(url: str, headers: dict[str, str]) -> int | str:
    """The status of a GET, or why there is none."""
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)


def wait_for(expected: int, url: str, headers: dict[str, str]) -> bool:
    """Ask until the answer is the expected one; say what it was in the end."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        status = status_of(url, headers)
        if status == expected or time.monotonic() > deadline:
            print(f"GET {url}: {status}, expected {expected}", flush=True)
            return status == expected
        time.sleep(1)


WRONG_KEY = {"APCA-API-KEY-ID": "PKHELMTEST0000000000", "APCA-API-SECRET-KEY": "wrong"}
answers = [
    wait_for(200, f"{URL}/healthz", {}),
    wait_for(401, f"{URL}/v2/account", {}),
    wait_for(401, f"{URL}/v2/account", WRONG_KEY),
]
if STREAM_URL is not None:
    # Upgrade Required: this is no handshake of a WebSocket.
    answers.append(wait_for(426, f"{STREAM_URL}/stream", {}))
sys.exit(0 if all(answers) else 1)
