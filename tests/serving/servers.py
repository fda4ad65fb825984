"""Real servers on free loopback ports, ended whatever happens."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from features.settings import Settings
from tests.source_tree import ROOT

START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def compiled_before(home: Path) -> None:
    """Give a home what earlier servers of these tests compiled, unless it has its own: compiling takes seconds."""
    kept = Path(tempfile.gettempdir()) / "compiled"
    if kept.exists() and not (home / "compiled").exists():
        shutil.copytree(kept, home / "compiled")


def compiled_now(home: Path) -> None:
    """Keep what a server compiled for the next home."""
    kept = Path(tempfile.gettempdir()) / "compiled"
    if (home / "compiled").is_dir():
        shutil.copytree(home / "compiled", kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.tmp.*"))


@contextmanager
def running(
    home: Settings, port: int, seconds: float = START_SECONDS * 2, *options: str, **settings: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {
        **os.environ,
        "ZHONGCAO_HOME": str(home.home),
        "ZHONGCAO_CONFIG": os.devnull,
        "ZHONGCAO_THREADS": "2",
        **{f"ZHONGCAO_{name.upper()}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "serving.cli.main", "serve", "--port", str(port), *options]
    compiled_before(home.home)
    # One pipe for both, so that whatever the server writes anywhere is looked at.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=ROOT
    )
    watchdog = threading.Timer(seconds, process.kill)
    watchdog.start()
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None:
            try:
                httpx.get(f"{url}/livez")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield process, url
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()
        compiled_now(home.home)
