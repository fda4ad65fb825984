from __future__ import annotations

import pyarrow as pa

from features.people.acts import MOST_REMEMBERED, code_of, codes_of


def test_only_so_many_codes_are_kept_and_forgotten_ones_come_out_alike() -> None:
    texts = [f"note {number}" for number in range(MOST_REMEMBERED + 10)]
    first = codes_of(pa.array(texts))
    assert code_of.cache_info().currsize <= MOST_REMEMBERED <= 100_000
    assert codes_of(pa.array(texts[:20])).tolist() == first[:20].tolist()
