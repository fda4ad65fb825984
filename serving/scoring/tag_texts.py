"""Tags as they are sent: what never changes of them is written once, as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from features.taxonomy.taxonomy import Tag

_ASSIGNED: Final = {True: b',"assigned":true,"factors":null}', False: b',"assigned":false,"factors":null}'}


class TagTexts:
    """Writes tags without reasons: the bytes that orjson makes of `serving.messages.schemas.TagAnswer`.

    Parameters
    ----------
    tags
        Those of the taxonomy.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> texts = TagTexts([SimpleNamespace(id="t", name="T", name_zh="标")])
    >>> orjson.dumps(texts.written([0], [0.25], [True])).decode()
    '[{"id":"t","name":"T","name_zh":"标","probability":0.25,"assigned":true,"factors":null}]'
    """

    def __init__(self, tags: Sequence[Tag]) -> None:
        said = [orjson.dumps({"id": tag.id, "name": tag.name, "name_zh": tag.name_zh}) for tag in tags]
        self._begin = [text[:-1] + b',"probability":' for text in said]

    def written(
        self, chosen: Sequence[int], probabilities: Sequence[float], assigned: Sequence[bool]
    ) -> orjson.Fragment:
        """Return some tags as a JSON list.

        Parameters
        ----------
        chosen
            Their numbers.
        probabilities, assigned
            Of each, as they are answered.
        """
        if not chosen:
            return orjson.Fragment(b"[]")
        # A list of numbers is written far faster than a number at a time.
        pieces = [b""] * (3 * len(chosen))
        pieces[::3] = [self._begin[number] for number in chosen]
        pieces[1::3] = orjson.dumps(probabilities)[1:-1].split(b",")
        pieces[2::3] = [_ASSIGNED[reached] + b"," for reached in assigned]
        pieces[-1] = pieces[-1][:-1]
        return orjson.Fragment(b"[" + b"".join(pieces) + b"]")
