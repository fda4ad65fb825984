from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from features.errors import AccessError
from serving.cli import serve as cli_serve
from serving.guard.access import KeyRing


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setenv("ZHONGCAO_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    cli_serve.register(app)
    return app


def test_keys_are_made_listed_and_revoked(app: typer.Typer, tmp_path: Path) -> None:
    run = CliRunner().invoke
    made = run(app, ["keys", "add", "--name", "ad server", "--scope", "predict", "--brand", "acme", "--days", "30"])
    assert made.exit_code == 0
    secret = made.stdout.strip()
    [key] = KeyRing(tmp_path / "access.json").known()
    assert KeyRing(tmp_path / "access.json").find(secret) == key
    assert "not shown again" in made.stderr

    listed = run(app, ["keys", "list"])
    assert all(shown in listed.stdout for shown in (key.id, "ad server", "predict", "acme", "1 key;"))
    assert secret not in listed.stdout

    revoked = run(app, ["keys", "revoke", key.id])
    assert revoked.exit_code == 0
    assert "ad server" in revoked.stdout
    assert KeyRing(tmp_path / "access.json").known() == ()


def test_an_unknown_scope_is_named(app: typer.Typer) -> None:
    done = CliRunner().invoke(app, ["keys", "add", "--name", "a", "--scope", "root"])
    assert isinstance(done.exception, AccessError)
    assert "'root'; valid: predict, ingest, export, admin" in str(done.exception)


def test_the_port_is_checked(app: typer.Typer) -> None:
    assert CliRunner().invoke(app, ["serve", "--port", "70000"]).exit_code == 2
