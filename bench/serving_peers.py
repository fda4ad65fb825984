"""What `bench.serving` sets beside the server: the same scorer behind bare Starlette, stock BentoML and MLflow.

    python -m bench.serving_peers NAME HOME FOLDER PORT

FOLDER is for files of the run; the constant answer lies there as ``constant.json``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_WAIT_POLICY="PASSIVE", BENTOML_DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true")

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.people.identity import load_key
from features.settings import Settings
from serving.messages.schemas import PersonRef
from serving.online.added_columns import open_store
from serving.scoring.scorer import Scorer
from training.bundles.champion import champion_path
from training.compact.cache import keep_compiled
from training.tags.bundle import Bundle, load_bundle


def bare_starlette(home: Path, folder: Path) -> Any:  # noqa: ARG001
    """Return an application with nothing around the handler: store read, scorer and JSON, on the event loop."""
    settings = Settings(home=home)
    bundle = opened_bundle(home)
    scorer = Scorer(bundle, open_store(settings, bundle.layout), load_key(settings))

    async def tags(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        people = [PersonRef(**someone) for someone in asked["people"]]
        answer = scorer.written(people, top=asked["top"])
        return Response(orjson.dumps(answer), media_type="application/json")

    return Starlette(routes=[Route("/v1/tags", tags, methods=["POST"])])


def constant(home: Path, folder: Path) -> Any:  # noqa: ARG001
    """Return an application that answers with the same bytes, read from the file beside the home."""
    body = (folder / "constant.json").read_bytes()

    async def tags(request: Request) -> Response:
        await request.body()
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route("/v1/tags", tags, methods=["POST"])])


def stock_bentoml(home: Path, folder: Path) -> Any:
    """Return a service with BentoML's own settings."""
    os.environ["BENTOML_HOME"] = str(folder / "bentoml")
    _set_bundle(home)
    from bench.serving_bento import Tags  # noqa: PLC0415

    return Tags.to_asgi()


def mlflow_server(home: Path, folder: Path) -> Any:
    """Return MLflow's scoring server on a pyfunc model of the bundle."""
    import mlflow  # noqa: PLC0415
    from mlflow.pyfunc import scoring_server  # noqa: PLC0415

    model = folder / "mlflow-model"
    _set_bundle(home)
    code = Path(__file__).with_name("serving_pyfunc.py")
    mlflow.pyfunc.save_model(model, python_model=str(code), pip_requirements=[])
    return scoring_server.init(mlflow.pyfunc.load_model(str(model)))


def _set_bundle(home: Path) -> None:
    keep_compiled(home / "compiled")
    os.environ["BENCH_BUNDLE"] = str(champion_path(Settings(home=home)))


def opened_bundle(home: Path) -> Bundle:
    """Return the champion, warm."""
    keep_compiled(home / "compiled")
    bundle = load_bundle(champion_path(Settings(home=home)))
    bundle.model.warm()
    return bundle


PEERS: dict[str, Callable[[Path, Path], Any]] = {
    "starlette": bare_starlette,
    "constant": constant,
    "bentoml": stock_bentoml,
    "mlflow": mlflow_server,
}

if __name__ == "__main__":
    name, home, folder, port = sys.argv[1:]
    uvicorn.run(
        PEERS[name](Path(home), Path(folder)), port=int(port), loop="uvloop", http="httptools", log_level="warning"
    )
