"""Processes import what they use: imports are most of a start, and of an idle process's memory."""

import json
import subprocess
import sys

import pytest

MIGRATIONS = {"alembic", "mako", "tomllib"}
FOR_TOKENS = {"aiohttp", "jwt", "cryptography"}  # If there is an issuer.
WEB_OF_WORKERS = {"fastapi", "uvicorn", "starlette"}

# Multiprocessing imports this in a worker, and then the worker does the rest.
WORKER = """
import asyncio, openvenue.server
from openvenue.http.server import WorkerServer
from openvenue.http.worker import Worker
from openvenue.settings import get_settings

async def make():
    Worker(get_settings(), None, None)

asyncio.run(make())
"""
SUPERVISOR = "import openvenue.server, openvenue.serving.operations, openvenue.serving.supervisor"
PROJECTOR = "import openvenue.projector.__main__"


@pytest.mark.parametrize(
    ("program", "unused"),
    [
        (WORKER, {*MIGRATIONS, *FOR_TOKENS, "typer"}),
        (SUPERVISOR, {*MIGRATIONS, *WEB_OF_WORKERS, "sqlalchemy", "asyncpg", "grpc", "typer"}),
        (PROJECTOR, {*MIGRATIONS, *WEB_OF_WORKERS, "sqlalchemy", "typer"}),
    ],
    ids=["worker", "supervisor", "projector"],
)
def test_a_process_does_without(program: str, unused: set[str]) -> None:
    listing = "\nimport json, sys; print(json.dumps(list(sys.modules)))"
    command = [sys.executable, "-c", program + listing]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert unused & set(json.loads(done.stdout)) == set()
