"""The world: a day at a time, under any delivery policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from features.errors import SettingsError
from features.world import happenings, tables, truth
from features.world.ads import Ads, Placed
from features.world.catalogue import CATEGORIES, catalogue_of
from features.world.content import campaigns_of, notes_of
from features.world.draws import Flags, Floats, Ints, uniform
from features.world.feed import Feed, feed_of, organic_notes
from features.world.happenings import Later
from features.world.levels import UNIT, fade, keeping, lift, summed
from features.world.market import Market
from features.world.people import people_of
from features.world.policy import Policy
from features.world.response import (
    Acts,
    Shown,
    acts_of,
    chances_after_click,
    click_chances,
    hide_chances,
    noticed,
    raised_by,
    topic_trends,
)
from features.world.rows import Rows, Vocabulary, day_number, events_table
from features.world.seasons import season
from features.world.settings import WorldSettings
from features.world.visits import (
    Visits,
    after_jump,
    after_search,
    item_after_jump,
    out_of_need,
    willingness_after_jump,
)
from features.world.without import Caused, Touches

_CLICKS_HALF_LIFE = 7.0
_VISITS_AFTER_SEARCH = 0.7


@dataclass(frozen=True)
class Day:
    """A day of the world.

    Parameters
    ----------
    number
        Days from the world's first.
    coded
        Events by time in canonical columns, names coded as dictionaries.
    truth
        True probabilities of its paid impressions (of all, where the settings say so).
    """

    number: int
    coded: pa.Table
    truth: pa.Table

    @cached_property
    def events(self) -> pa.Table:
        """The events with the types of the canonical table."""
        return pa.table([
            column.combine_chunks().dictionary_decode() if pa.types.is_dictionary(column.type) else column
            for column in self.coded.columns
        ], names=self.coded.column_names)  # fmt: skip


class World:
    """People, notes, campaigns and shops, moved on by one day at a time.

    Parameters
    ----------
    settings
        Size, seed and campaigns.
    part, number
        Which part of the people this is, and their numbers; everybody by default. People do not act on each other,
        so parts that are simulated one after the other are the world, under policies that look at nobody else.

    Examples
    --------
    >>> from features.world.policy import BroadPolicy
    >>> world = World(WorldSettings(people=200, days=3, campaigns=2))
    >>> [world.step(day, BroadPolicy()).events.num_rows > 100 for day in range(3)]
    [True, True, True]
    >>> sorted(world.truth())
    ['campaign_days', 'campaigns', 'note_days', 'notes', 'people']
    """

    def __init__(self, settings: WorldSettings, part: int = 0, number: Ints | None = None) -> None:
        self.settings = settings
        number = np.arange(settings.people) if number is None else number
        self.catalogue = catalogue_of(settings)
        self.campaigns = campaigns_of(settings, self.catalogue)
        self.notes = notes_of(settings, self.catalogue, self.campaigns)
        self.people = people_of(settings, number)
        self.day = 0
        self.words = Vocabulary.of(settings, self.catalogue, self.notes, self.campaigns, number=number, part=part)
        self._ads = Ads(settings, self.people, self.notes, self.campaigns)
        self._clicks = np.zeros((len(number), len(CATEGORIES)), np.int16)
        self._market = Market(settings, self.catalogue, self.notes, self.campaigns, people=len(number))
        self._late_days = np.array([category.decide_days for category in CATEGORIES])
        self._searches = Later(settings.begin, settings.days)
        self._spent = np.zeros((settings.campaigns, settings.days), np.int64)

    def step(self, day: int, policy: Policy) -> Day:
        """Let a day pass.

        Parameters
        ----------
        day
            The next day, from 0.
        policy
            Chooses the ads.

        Raises
        ------
        SettingsError
            It is not that day's turn, or the policy broke its contract.
        """
        if day != self.day or day >= self.settings.days:
            raise SettingsError("the world's days pass one by one", value=day, valid=[self.day])
        settings, people, notes = self.settings, self.people, self.notes
        likelier, off = season(settings.begin + day * 86_400)
        people.drift(settings.seed, day)
        feed = feed_of(settings, people, day)
        shown, placed, ad_rows = self._show(feed, policy, day)
        click = click_chances(people, notes, topic_trends(settings, day), shown, self._ads.pressure)
        clicks = uniform(shown.keys, 3) < click
        hides = ~clicks & (uniform(shown.keys, 4) < hide_chances(people, notes, shown, self._ads.pressure))
        clicked = shown.take(np.flatnonzero(clicks))
        shop = people.shop_of(clicked.person, notes.brand[clicked.note])
        chances = chances_after_click(people, notes, clicked, shop)
        acts = acts_of(people, notes, clicked, chances, settings.effect)

        rows = Rows()
        instead_of = np.full(len(click), -1)
        instead_of[ad_rows] = placed.instead_of
        happenings.add_impressions(rows, people, notes, shown, instead_of)
        happenings.add_hides(rows, people, notes, shown.take(np.flatnonzero(hides)))
        happenings.add_acts(rows, people, notes, clicked, acts)
        self._searches.add(happenings.search_moments(notes, self._late_days, clicked, acts.search))
        visits = self._visit(rows, clicked, acts, shop, day=day, likelier=likelier)
        touches = self._touches(shown, clicks, clicked, acts)
        told = self._told(shown, click, ad_rows, instead_of, likelier=likelier, day=day)
        self._market.sell(rows, visits, touches, off)
        self._spend(placed, notes.campaign[placed.note], day)
        self._remember(feed, placed, ad_rows, clicked)
        for block in self._market.due(day):
            rows.add(**block)
        self.day += 1
        return Day(day, events_table(settings, self.words, rows, day, policy.name), told)

    def _show(self, feed: Feed, policy: Policy, day: int) -> tuple[Shown, Placed, Ints]:
        ad_rows = np.flatnonzero(feed.ad)
        placed = self._ads.place(policy, feed, ad_rows, self._clicks, day)
        note = organic_notes(self.people, self.notes, feed.person, feed.keys, day)
        note[ad_rows] = placed.note
        propensity, cost, repeats = (
            np.full(len(note), -1.0),
            np.zeros(len(note), np.int64),
            np.zeros(len(note), int),
        )
        propensity[ad_rows], cost[ad_rows], repeats[ad_rows] = placed.propensity, placed.cost, placed.repeats
        shown = Shown(feed.person, note, feed.place, feed.keys, feed.time, feed.position, propensity, cost, repeats)
        return shown, placed, ad_rows

    def _visit(self, rows: Rows, clicked: Shown, acts: Acts, shop: Ints, *, day: int, likelier: float) -> Visits:
        people, notes, catalogue = self.people, self.notes, self.catalogue
        came = np.flatnonzero(acts.visit)
        jumped = clicked.take(came)
        item = item_after_jump(notes, jumped)
        willing = willingness_after_jump(people, notes, catalogue, jumped, item=item, likelier=likelier)
        parts = [
            out_of_need(self.settings, people, catalogue, day, likelier),
            after_jump(notes, jumped, shop[came], item, willing),
        ]
        for searched in self._searches.due(day):
            happenings.add_searches(rows, people, notes, searched)
            found = after_search(people, notes, catalogue, searched, likelier=likelier)
            enters = (uniform(searched["keys"], 35) < _VISITS_AFTER_SEARCH) & (found.shop >= 0)
            parts.append(found.take(np.flatnonzero(enters)))
        return Visits.joined(parts)

    def _touches(self, shown: Shown, clicks: Flags, clicked: Shown, acts: Acts) -> Touches:
        effect = self.settings.effect
        seen, by_notice = noticed(self.notes, shown, effect)
        by_click = raised_by(self.notes, clicked, acts, effect)
        passing = np.flatnonzero(seen & ~clicks & (by_notice > 0))
        opened = np.flatnonzero((self.notes.brand[clicked.note] >= 0) & (by_click > 0))
        return Touches(
            np.concatenate([shown.person[passing], clicked.person[opened]]),
            np.concatenate([shown.note[passing], clicked.note[opened]]),
            np.concatenate([by_notice[passing], by_click[opened]]),
        )

    def _told(
        self, shown: Shown, click: Floats, ad_rows: Ints, instead_of: Ints, *, likelier: float, day: int
    ) -> pa.Table:
        people, notes = self.people, self.notes
        number = np.arange(len(click)) if self.settings.organic_truth else ad_rows
        some = shown.take(number)
        brand = notes.brand[some.note]
        chances = chances_after_click(people, notes, some, people.shop_of(some.person, brand))
        item = item_after_jump(notes, some)
        willing = willingness_after_jump(people, notes, self.catalogue, some, item=item, likelier=likelier)
        buying = self._market.chances(some.person, brand, notes.category[some.note], willing)
        return truth.impressions_truth(
            people,
            notes,
            some,
            number=number,
            click=click[number],
            chances=chances,
            buying=buying,
            instead_of=instead_of[number],
            day=day,
            words=self.words,
        )

    def _spend(self, placed: Placed, campaign: Ints, day: int) -> None:
        paid = campaign >= 0
        np.add.at(self._spent[:, day], campaign[paid], placed.cost[paid])

    def _remember(self, feed: Feed, placed: Placed, ad_rows: Ints, clicked: Shown) -> None:
        self._ads.remember(feed.person[ad_rows], placed.note)
        category = self.notes.category[clicked.note]
        about = category >= 0
        fade(self._clicks, keeping(_CLICKS_HALF_LIFE))
        cells = clicked.person[about] * len(CATEGORIES) + category[about]
        lift(self._clicks, *summed(cells, np.full(len(cells), UNIT)))

    def tables(self, *, small_only: bool = False) -> dict[str, pa.Table]:
        """Return everything beside the events, in canonical columns; spending so far.

        Parameters
        ----------
        small_only
            Leave out the tables that grow with the number of people.
        """
        settings, words = self.settings, self.words
        small = {
            "notes": tables.notes_table(words, self.notes),
            "note_items": tables.note_items_table(words, self.notes),
            "items": tables.items_table(settings, words, self.catalogue),
            "campaigns": tables.campaigns_table(settings, words, self.campaigns),
            "spend": tables.spend_table(settings, self.campaigns, self._spent),
        }
        if small_only:
            return small
        person = np.arange(len(self.people.number))
        arms = list(tables.assignments_tables(settings, words, self.campaigns, self.people))
        return small | {
            "identities": tables.identities_table(settings, words, self.people, person),
            "people": tables.people_table(settings, words, self.people, person),
            "assignments": pa.concat_tables(arms) if arms else tables.canonical("assignments", 0),
        }

    @property
    def caused(self) -> dict[str, tuple[Caused, list[str]]]:
        """What campaigns and notes caused until now, with their names."""
        return self._market.caused

    @property
    def spent(self) -> Ints:
        """What campaigns spent until now, in millionths [campaigns, days]."""
        return self._spent

    def people_truth(self, person: Ints) -> pa.Table:
        """Return who some people are, now."""
        return truth.people_truth(
            self.people,
            self.catalogue,
            desire=self._market.desire,
            stock=self._market.stock,
            person=person,
            words=self.words,
        )

    def truth(self) -> dict[str, pa.Table]:
        """Return what campaigns and notes caused until now, and who people are."""
        first = day_number(self.settings, 0)
        found: dict[str, pa.Table] = {}
        for key, (caused, names) in self.caused.items():
            found[f"{key}s"] = truth.caused_table(caused, names, key)
            found[f"{key}_days"] = truth.caused_by_day(caused, names, key, first)
        return found | {"people": self.people_truth(np.arange(len(self.people.number)))}


def run(world: World, policy: Policy, days: int | None = None) -> Iterator[Day]:
    """Let days pass under one policy, all that are left by default."""
    last = world.settings.days if days is None else min(world.day + days, world.settings.days)
    for day in range(world.day, last):
        yield world.step(day, policy)
