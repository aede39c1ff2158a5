"""The documented way of a recorded day into the cluster ends where the market reads it."""

import base64
import gzip
import json
import os
import re
import subprocess
from pathlib import Path

from tests.charts.chart import PROGRAMS, ROOT, find, render
from tests.charts.release import create_namespace
from tests.market.test_day import MESSAGES
from tests.support.api_server import ApiServer

DOCUMENTED = re.compile(
    r"`(kubectl create configmap [^`]*)`, then `market\.day\.configMap=([^`]*)`, `\.file=([^`]*)`"
)


def test_the_documented_config_map_has_the_day_that_the_market_reads(
    server: ApiServer, tmp_path: Path
) -> None:
    ((command, config_map, file),) = DOCUMENTED.findall((ROOT / "docs/install.md").read_text())
    day = gzip.compress(MESSAGES.encode())
    (tmp_path / "day.csv.gz").write_bytes(day)
    namespace = create_namespace(server, "recorded-day")
    kubectl = ("kubectl", "--namespace", namespace)
    done = subprocess.run(
        ["bash", "-c", command.replace("kubectl", " ".join(kubectl))],
        cwd=tmp_path,
        env={
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "KUBECONFIG": str(server.kubeconfig()),
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr

    values = {"enabled": True, "day": {"configMap": config_map, "file": file, "symbol": "AMZN"}}
    deployment = find(render(values={"market": values}), "Deployment", "market")
    pod = deployment["spec"]["template"]["spec"]
    (volume,) = (each for each in pod["volumes"] if each["name"] == "day")
    read = server.kubectl(
        *("get", "--namespace", namespace, "-o=json"), "configmap", volume["configMap"]["name"]
    )
    (container,) = pod["containers"]
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == "day")
    (path,) = (e["value"] for e in container["env"] if e["name"] == "OPENVENUE_MARKET_DAY_FILE")
    key = os.path.relpath(path, mount["mountPath"])
    assert base64.b64decode(json.loads(read)["binaryData"][key]) == day
