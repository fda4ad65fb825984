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
from features.world.content import CREATORS, TOPICS_PER_CATEGORY, campaigns_of, notes_of
from features.world.draws import Flags, Floats, Ints, uniform
from features.world.feed import Feed, feed_of, organic_notes
from features.world.happenings import Later
from features.world.levels import UNIT, fade, keeping, lift, summed
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
from features.world.sales import STOCK_OF_A_PURCHASE, buying_chances, decisions_of
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
from features.world.without import Caused, Touches, Without

_DESIRE_HALF_LIFE = 12.0
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

    Examples
    --------
    >>> from features.world.policy import BroadPolicy
    >>> world = World(WorldSettings(people=200, days=3, campaigns=2))
    >>> [world.step(day, BroadPolicy()).events.num_rows > 100 for day in range(3)]
    [True, True, True]
    >>> sorted(world.truth())
    ['campaign_days', 'campaigns', 'note_days', 'notes', 'people']
    """

    def __init__(self, settings: WorldSettings) -> None:
        self.settings = settings
        self.catalogue = catalogue_of(settings)
        self.campaigns = campaigns_of(settings, self.catalogue)
        self.notes = notes_of(settings, self.catalogue, self.campaigns)
        self.people = people_of(settings)
        self.day = 0
        topics = len(CATEGORIES) * TOPICS_PER_CATEGORY
        self.words = Vocabulary.of(self.catalogue, self.notes, self.campaigns, CREATORS, topics)
        self._topics = topics
        self._ads = Ads(settings, self.people, self.notes, self.campaigns)
        self._desire = np.zeros((settings.people, self.catalogue.brands), np.int16)
        self._stock = np.zeros((settings.people, len(CATEGORIES)), np.int16)
        self._clicks = np.zeros((settings.people, len(CATEGORIES)), np.int16)
        self._keep_desire = keeping(_DESIRE_HALF_LIFE)
        self._keep_stock = keeping([category.cycle_days for category in CATEGORIES])
        self._late_days = np.array([category.decide_days for category in CATEGORIES])
        self._sales = Later(settings.begin, settings.days)
        self._searches = Later(settings.begin, settings.days)
        self._orders = 0
        self._spent = np.zeros((settings.campaigns, settings.days), np.int64)
        paid = np.flatnonzero(self.notes.campaign >= 0)
        brand = self.notes.brand
        note_owner = np.full(len(brand), -1)
        note_owner[paid] = np.arange(len(paid))
        owners = ((self.notes.campaign, self.campaigns.brand), (note_owner, brand[paid]))
        self._without = [
            Without(owner, of, self.catalogue.brand_category(of), settings.begin, settings.days)
            for owner, of in owners
            if len(of)
        ]
        self._paid_notes = [self.notes.names[n] for n in paid]

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
        click = click_chances(people, notes, topic_trends(settings, day, self._topics), shown, self._ads.pressure)
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
        self._sell(rows, visits, touches, off)
        self._spend(placed, notes.campaign[placed.note], day)
        self._remember(feed, placed, ad_rows, clicked)
        for block in self._sales.due(day):
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
        stock = self._stock[some.person, notes.category[some.note]]
        buying = buying_chances(willing, self._desire[some.person, brand], stock)
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

    def _sell(self, rows: Rows, visits: Visits, touches: Touches, off: float) -> None:
        """Decide who buys, here and in the worlds without each campaign and note, and move the levels on."""
        decisions = decisions_of(visits, self.catalogue, off)
        category = self.catalogue.brand_category(visits.brand)
        desire, stock = self._desire[visits.person, visits.brand], self._stock[visits.person, category]
        bought = decisions.bought(visits.willing, desire, stock)
        levels = self._desire, self._stock
        keep = self._keep_desire, self._keep_stock
        for without in self._without:
            without.step(
                before=levels,
                keep=keep,
                visits=visits,
                decisions=decisions,
                bought=bought,
                touches=touches,
                brand_of_note=self.notes.brand,
            )
        happenings.add_visits(rows, self.catalogue, visits, decisions, bought)
        for block in happenings.sales(self.catalogue, visits, decisions, bought, self._orders):
            self._sales.add(block)
        self._orders += int(bought.sum())
        fade(self._desire, self._keep_desire)
        fade(self._stock, self._keep_stock)
        raised = summed(touches.person * self.catalogue.brands + self.notes.brand[touches.note], touches.raised)
        lift(self._desire, *raised)
        cells = visits.person[bought] * len(CATEGORIES) + category[bought]
        lift(self._stock, *summed(cells, np.full(len(cells), STOCK_OF_A_PURCHASE)))
        for without in self._without:
            without.forget(levels)

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
        person = np.arange(settings.people)
        arms = list(tables.assignments_tables(settings, words, self.campaigns, self.people))
        return small | {
            "identities": tables.identities_table(settings, words, self.people, person),
            "people": tables.people_table(settings, words, self.people, person),
            "assignments": pa.concat_tables(arms) if arms else tables.canonical("assignments", 0),
        }

    def caused(self) -> dict[str, tuple[Caused, list[str]]]:
        """Return what campaigns and notes caused until now, with their names."""
        named = (("campaign", self.campaigns.names), ("note", self._paid_notes))
        return {key: (without.caused, names) for without, (key, names) in zip(self._without, named, strict=False)}

    def people_truth(self, person: Ints) -> pa.Table:
        """Return who some people are, now."""
        return truth.people_truth(
            self.people, self.catalogue, desire=self._desire, stock=self._stock, person=person, words=self.words
        )

    def truth(self) -> dict[str, pa.Table]:
        """Return what campaigns and notes caused until now, and who people are."""
        first = day_number(self.settings, 0)
        found: dict[str, pa.Table] = {}
        for key, (caused, names) in self.caused().items():
            found[f"{key}s"] = truth.caused_table(caused, names, key)
            found[f"{key}_days"] = truth.caused_by_day(caused, names, key, first)
        return found | {"people": self.people_truth(np.arange(self.settings.people))}


def run(world: World, policy: Policy, days: int | None = None) -> Iterator[Day]:
    """Let days pass under one policy, all that are left by default."""
    last = world.settings.days if days is None else min(world.day + days, world.settings.days)
    for day in range(world.day, last):
        yield world.step(day, policy)
