"""What an ad server asks with each request, and what it goes by when there is no answer in time.

python examples/ad_server.py http://127.0.0.1:3000 grocery 1
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from serving.client import Account, Client, NoAnswerError, NotReadyError, Retries

TIME_SECONDS = 0.05


@dataclass(frozen=True)
class Chances:
    """Tag → probability; `personal` is False where they are those of people in general."""

    by_tag: dict[str, float]
    personal: bool


class Audience:
    """Answers who somebody is, always: with base rates where nothing is known or nothing comes back.

    Parameters
    ----------
    zhongcao
        Client; predictions are asked for within `TIME_SECONDS`, which the server is told.
    """

    def __init__(self, zhongcao: Client) -> None:
        tags = zhongcao.catalogue().tags
        self._zhongcao = zhongcao.within(TIME_SECONDS)
        self._usual = {tag.id: tag.base_rate for tag in tags if tag.learned and tag.base_rate is not None}

    def chances(self, account: Account) -> Chances:
        """Return the probability of each tag."""
        try:
            person = self._zhongcao.tags([account], top=1000).people[0]
        except (NoAnswerError, NotReadyError):
            return Chances(self._usual, personal=False)
        if person.status == "unknown":
            return Chances(self._usual, personal=False)
        return Chances({tag.id: tag.probability for tag in person.tags}, personal=True)


def main() -> None:
    """Ask about one account and print its five most probable tags."""
    url, platform, account = sys.argv[1:]
    with Client(url, retries=Retries(tries=1)) as zhongcao:
        chances = Audience(zhongcao).chances(Account(platform, account))
    sys.stdout.write("their own\n" if chances.personal else "people in general\n")
    for tag, probability in sorted(chances.by_tag.items(), key=lambda item: -item[1])[:5]:
        sys.stdout.write(f"{probability:.3f}  {tag}\n")


if __name__ == "__main__":
    main()
