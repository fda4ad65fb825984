"""Published figures that a world's marginals are set beside, each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Published:
    """One figure.

    Parameters
    ----------
    figure
        Name of the marginal that it belongs to.
    value
        A share, or days.
    source
        Where it stands, and what is different there.
    """

    figure: str
    value: float
    source: str


_ALI_CCP = (
    "Ali-CCP, Taobao's recommendations: 84 M impressions, 3.4 M clicks, 18 k conversions (Ma et al., SIGIR 2018)"
)
_TAOBAO = (
    "Taobao UserBehavior, nine days of 2017: 89,716,264 page views, 5,530,446 carts, 2,888,258 favourites, "
    "2,015,839 purchases"
)
_RETAILROCKET = "Retailrocket, 4.5 months of one shop: 2,664,312 views, 69,332 carts, 22,457 transactions"
_CRITEO = "Criteo's display advertising, from the click (Chapelle, KDD 2014)"
_JOURNEY = "Complete Journey, 2,469 households buying groceries in 2017 (counted from the package's rows)"

PUBLISHED: Final = (
    Published("ad_ctr", 3.4 / 84, _ALI_CCP),
    Published("purchase_per_click", 18 / 3_400, _ALI_CCP),
    Published("cart_per_view", 5_530_446 / 89_716_264, _TAOBAO),
    Published("favourite_per_view", 2_888_258 / 89_716_264, _TAOBAO),
    Published("purchase_per_view", 2_015_839 / 89_716_264, _TAOBAO),
    Published("cart_per_view", 69_332 / 2_664_312, _RETAILROCKET),
    Published("purchase_per_view", 22_457 / 2_664_312, _RETAILROCKET),
    Published("bought_within_hour", 0.35, _CRITEO),
    Published("bought_within_day", 0.50, _CRITEO),
    Published("returned", 0.176, "US online sales of 2023 by value (NRF and Appriss Retail, 2023)"),
    Published("gap_median", 3.0, f"{_JOURNEY}, between days of shopping"),
    Published("top_tenth_purchases", 0.332, f"{_JOURNEY}, lines of purchase"),
)
