"""What `bentoml build` packs runs where there is no network, on a home that is named when it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from serving.guard.access import KeyRing
from tests.serving.homes import tiny_home
from tests.serving.servers import free_port
from tests.source_tree import ROOT

ASK = """
import json, os, subprocess, sys, time, httpx
url, key = "http://127.0.0.1:" + sys.argv[1], sys.argv[2]
server = subprocess.Popen([sys.executable, "-m", "bentoml", "serve", "zhongcao:latest", "--host", "127.0.0.1",
                           "--port", sys.argv[1]], cwd=sys.argv[3], stdout=sys.stderr)
try:
    for _ in range(1200):
        try:
            httpx.get(url + "/livez", timeout=30)
            break
        except httpx.TransportError:
            assert server.poll() is None
            time.sleep(0.25)
    body = {"people": [{"platform": "shop", "account": "a1"}], "top": 1}
    keys = {"Authorization": "Bearer " + key}
    said = httpx.post(url + "/v1/tags", json=body, headers=keys, timeout=60)
    others = [httpx.get(url + path, timeout=60).status_code for path in ("/v1/tags", "/", "/metrics", "/docs.json")]
    try:
        httpx.get("http://192.0.2.1/", timeout=2)
        network = True
    except httpx.TransportError:
        network = False
    print(json.dumps([said.status_code, said.json(), others, network]))
finally:
    server.terminate()
    server.wait(60)
"""


def without_network(*command: str) -> list[str]:
    bare = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "-"]
    return [*bare, *command]


def test_a_bento_runs_without_a_network(tmp_path: Path) -> None:
    probe = without_network("true") if shutil.which("unshare") and shutil.which("ip") else ["false"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("this machine cannot take the network away from a process")
    home = tiny_home(tmp_path / "home")
    secret, _ = KeyRing(home.access_file).add("test", ["predict"])
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "BENTOML_HOME": str(tmp_path / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "ZHONGCAO_HOME": str(home.home),
        "ZHONGCAO_CONFIG": os.devnull,
        "ZHONGCAO_THREADS": "2",
    }
    build = without_network(sys.executable, "-m", "bentoml", "build", "--output", "tag")
    built = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (source,) = (tmp_path / "bentoml" / "bentos" / "zhongcao").glob("*/src")
    # Code and lock, and nothing of anybody.
    assert {one.name for one in source.iterdir()} == {
        "LICENSE", "bentofile.yaml", "features", "pyproject.toml", "requirements.lock", "serving", "training",
    }  # fmt: skip
    kinds = {one.suffix for one in source.rglob("*") if one.is_file() and one.parent != source}
    assert kinds <= {".py", ".toml", ".tsv", ".md", ".html", ".css"}

    ask = without_network(sys.executable, "-c", ASK, str(free_port()), secret, str(tmp_path))
    asked = subprocess.run(ask, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert asked.returncode == 0, asked.stderr
    status, answer, others, network = json.loads(asked.stdout.splitlines()[-1])
    assert (status, answer["people"][0]["status"], network) == (200, "known", False)
    # Nothing of BentoML's own is open, and nothing without a key.
    assert others == [401] * 4
