"""How a plan looks on the wire, as plans and the available ones both show it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api.price_answers import Price
from api.schema import Absent, Instant, Rate, Wire
from billing.plans import CADENCES
from models import plans as tables
from models.features import Feature
from models.prices import Price as PriceRow
from models.queries import plans, prices


class PlanPaymentTerm(Wire):
    """Which terms the plan's prices have."""

    in_arrears: bool = Field(alias="in_arrears")
    in_advance: bool = Field(alias="in_advance")


class PlanPrice(Price):
    """A price as a plan shows it."""

    @classmethod
    def of(cls, row: PriceRow, features: Mapping[str, Feature]) -> Self:
        """The answer for a row; here a rate type is always given."""
        return super().of(row, features).model_copy(update={"rate_type": row.rate_type or "amount"})


class VersionTransition(Wire):
    """When a new version takes effect."""

    effective_date: str
    proration: str


class Plan(Wire):
    """A plan and the prices of its default version."""

    object: Literal["plan"] = "plan"
    id: str
    merchant_id: str
    product_id: str
    name: str
    description: Absent[str] = None
    invoice_display_name: Absent[str] = None
    currency: str
    billing_cadence: str
    billing_interval: str
    billing_version: int
    billing_anchor: Instant | None
    default_tax_code: str
    default_tax_rate: Rate
    tax_behavior: str
    payment_term: PlanPaymentTerm
    prices: list[PlanPrice]
    renewal_reminder_enabled: bool
    renewal_reminder_days: int
    credit_allocations: list[dict[str, Any]]
    default_version_id: str
    stable_price_ids: bool
    version_transition: VersionTransition
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(
        cls, row: tables.Plan, carried: Sequence[PriceRow], features: Mapping[str, Feature]
    ) -> Self:
        """The answer for a row and the prices of its default version."""
        terms = {price.payment_term for price in carried}
        return cls.from_row(
            row,
            billing_interval=CADENCES.get(row.billing_cadence, row.billing_cadence),
            payment_term=PlanPaymentTerm(
                in_arrears="in_arrears" in terms, in_advance="in_advance" in terms
            ),
            prices=[PlanPrice.of(price, features) for price in carried],
            version_transition=VersionTransition.model_validate(row.version_transition),
        )


async def plan_answers(
    session: AsyncSession, merchant_id: str, rows: Sequence[tables.Plan]
) -> list[Plan]:
    """The answers for a page of plans, in three statements whatever its length."""
    versions = await plans.lines(session, merchant_id, [row.default_version_id for row in rows])
    carried = {key: [price for _, price in lines] for key, lines in versions.items()}
    everything = [price for prices_ in carried.values() for price in prices_]
    features = await prices.features_of(session, merchant_id, everything)
    return [Plan.of(row, carried[row.default_version_id], features) for row in rows]
