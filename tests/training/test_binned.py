"""Bins: the same as LightGBM makes itself, in memory, in parts, from the folder of an earlier run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest

from training.tags.binned import Bins, bin_matrix, open_bins
from training.tags.pairs import Matrix

ROWS, COLUMNS = 300, 5


def odd_matrix(seed: int = 0) -> Matrix:
    """Zeros, missing values, ties, one constant column."""
    rng = np.random.default_rng(seed)
    matrix = rng.lognormal(size=(ROWS, COLUMNS)).astype(np.float32).round(1)
    matrix[rng.random(matrix.shape) < 0.4] = 0
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    matrix[:, 3] = 7
    return matrix


def trained(bins: Bins) -> str:
    labels = (np.random.default_rng(1).random(ROWS) < 0.3).astype(np.uint8)
    params = {**bins.params, "objective": "binary", "num_threads": 1, "min_data_in_leaf": 5, "deterministic": True}
    return str(lgb.train(params, bins.labelled(labels), 5).model_to_string())


def as_lightgbm_does(matrix: Matrix, max_bin: int = 63) -> Bins:
    params = bin_matrix([matrix], max_bin=max_bin).params
    return Bins(lgb.Dataset(matrix, np.zeros(len(matrix)), params=params).construct(), max_bin)


@pytest.mark.parametrize("max_bin", [7, 63, 300])
def test_parts_are_binned_like_one_matrix(max_bin: int) -> None:
    matrix = odd_matrix()
    bins = bin_matrix([matrix[:11], matrix[11:]], max_bin=max_bin)
    assert (len(bins), bins.columns) == (ROWS, COLUMNS)
    assert trained(bins) == trained(as_lightgbm_does(matrix, max_bin))


def test_only_the_asked_columns_are_binned_in_their_order() -> None:
    matrix, columns = odd_matrix(), np.array([4, 0])
    assert trained(bin_matrix([matrix], columns)) == trained(as_lightgbm_does(matrix[:, columns]))


def test_some_rows_have_the_bins_of_all() -> None:
    matrix = odd_matrix()
    rows = np.arange(0, ROWS, 2)
    labels = (np.arange(len(rows)) % 3 == 0).astype(np.uint8)
    part = bin_matrix([matrix]).labelled(labels, rows)
    assert part.num_data() == len(rows)
    assert part.get_label().tolist() == labels.tolist()
    reference = as_lightgbm_does(matrix)
    alone = lgb.Dataset(matrix[rows], labels, reference=reference.data, params=reference.params)
    params = {**reference.params, "objective": "binary", "num_threads": 1, "min_data_in_leaf": 5}
    assert lgb.train(params, part, 5).model_to_string() == lgb.train(params, alone, 5).model_to_string()


def test_a_rerun_reads_the_bins_without_asking_for_rows(tmp_path: Path) -> None:
    asked = []

    def parts() -> list[Matrix]:
        asked.append(1)
        return [odd_matrix()]

    first = open_bins(tmp_path / "data", parts)
    second = open_bins(tmp_path / "data", parts)
    assert len(asked) == 1
    assert trained(first) == trained(second) == trained(bin_matrix([odd_matrix()]))
    assert (len(second), second.columns, second.params) == (ROWS, COLUMNS, first.params)
    open_bins(tmp_path / "data", parts, max_bin=15)
    assert len(asked) == 2


@pytest.mark.parametrize("harm", ["cut", "changed", "half", "garbled"])
def test_a_broken_folder_is_made_again(tmp_path: Path, harm: str) -> None:
    first = open_bins(tmp_path, lambda: [odd_matrix()])
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    data, about = folder / "bins.bin", folder / "about.json"
    if harm == "cut":
        data.write_bytes(data.read_bytes()[:-9])
    elif harm == "changed":
        data.write_bytes(data.read_bytes()[:-1] + b"\xff")
    elif harm == "garbled":
        about.write_text("{")
    else:
        data.unlink()
    (tmp_path / f"{folder.name}.part").mkdir()
    assert trained(open_bins(tmp_path, lambda: [odd_matrix()])) == trained(first)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [folder.name]


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # In a thread of its own: LightGBM keeps for each thread whether it prints.
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            pool.submit(open_bins, tmp_path, lambda: [odd_matrix()]).result()
    assert capfd.readouterr() == ("", "")
