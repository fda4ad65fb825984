"""Retrains every Monday; a challenger that was not promoted (4) skips the task, a shut gate (3) fails it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow import DAG
from airflow.operators.bash import BashOperator

with DAG(
    dag_id="zhongcao_retrain",
    schedule="30 3 * * 1",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
):
    # Started again, the job goes on behind its last checkpoint.
    BashOperator(
        task_id="retrain",
        bash_command="zhongcao retrain --taxonomy /srv/zhongcao/taxonomy.toml",
        env={"ZHONGCAO_HOME": "/srv/zhongcao/var"},
        append_env=True,
        skip_on_exit_code=4,
        retries=2,
        retry_delay=timedelta(minutes=10),
    )
