"""`helm test`: whether the venue answers, and looks up keys before it refuses them."""

import os
import sys
import time
import urllib.error
import urllib.request

URL = os.environ["OPENVENUE_URL"]
PATIENCE_S = float(os.environ.get("OPENVENUE_TEST_PATIENCE_S", "60"))


def status_of(path: str, headers: dict[str, str]) -> int | str:
    """The status of a GET, or why there is none."""
    request = urllib.request.Request(URL + path, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)


def wait_for(expected: int, path: str, headers: dict[str, str]) -> bool:
    """Ask until the answer is the expected one; say what it was in the end."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        status = status_of(path, headers)
        if status == expected or time.monotonic() > deadline:
            print(f"GET {path}: {status}, expected {expected}", flush=True)
            return status == expected
        time.sleep(1)


WRONG_KEY = {"APCA-API-KEY-ID": "PKHELMTEST0000000000", "APCA-API-SECRET-KEY": "wrong"}
answers = [
    wait_for(200, "/healthz", {}),
    wait_for(401, "/v2/account", {}),
    wait_for(401, "/v2/account", WRONG_KEY),
]
sys.exit(0 if all(answers) else 1)
