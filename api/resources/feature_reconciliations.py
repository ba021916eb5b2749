"""The reconciliation of a subscription's entitlements with its plan, on the wire."""

from typing import Literal, Self

from fastapi import APIRouter, Response
from pydantic import Field

from activities.entitlements import ReconciledFeatures, ReconcileFeatures
from api.deps import Caller, Commands
from api.idempotency import KeptRoute
from api.schema import Body, SubscriptionId, Wire

router = APIRouter(prefix="/v0/subscriptions", tags=["Subscriptions"], route_class=KeptRoute)


class ReconciliationRequest(Body):
    """Whether it is only a preview."""

    dry_run: bool = False


class ReconciledFeature(Wire):
    """A feature that is in place, or is no longer given."""

    feature_id: str
    feature_key: str


class ReconciledFeatureAdded(ReconciledFeature):
    """A feature that was missing; not billed where its price is charged once and has been."""

    billed: bool


class ReconciledFeatureFailed(ReconciledFeature):
    """A feature that cannot be given as its price says."""

    reason: str


class Features(Wire):
    """What became of each feature of the plan, and of each that is no longer on it."""

    added: list[ReconciledFeatureAdded]
    skipped: list[ReconciledFeature]
    removed: list[ReconciledFeature]
    failed: list[ReconciledFeatureFailed]


class ReconciledLines(Wire):
    """None: the lines of open invoices follow by themselves, they are derived at each read."""

    created: int = 0
    removed: int = 0
    sync_failed: bool = False


class SubscriptionReconciliation(Wire):
    """What a reconciliation did, or would do."""

    object: Literal["subscriptionReconciliation"] = "subscriptionReconciliation"
    dry_run: bool
    features: Features
    line_items: ReconciledLines = Field(default_factory=ReconciledLines)

    @classmethod
    def of(cls, reconciled: ReconciledFeatures, *, dry_run: bool) -> Self:
        """The answer for an outcome."""
        features = Features(
            added=[ReconciledFeatureAdded.from_row(each) for each in reconciled.added],
            skipped=[ReconciledFeature.from_row(each) for each in reconciled.skipped],
            removed=[ReconciledFeature.from_row(each) for each in reconciled.removed],
            failed=[ReconciledFeatureFailed.from_row(each) for each in reconciled.failed],
        )
        return cls(dry_run=dry_run, features=features)


@router.post(
    "/{id}/reconciliations",
    operation_id="reconcileSubscriptionFeatures",
    status_code=201,
    responses={
        200: {"model": SubscriptionReconciliation, "description": "A preview, or not all applied"}
    },
)
async def reconcile_subscription_features(
    id: SubscriptionId,
    caller: Caller,
    commands: Commands,
    response: Response,
    body: ReconciliationRequest | None = None,
) -> SubscriptionReconciliation:
    """Give what the plan's features grant and is missing, end what is no longer on the plan."""
    dry_run = body is not None and body.dry_run
    reconciled = await commands.reconcile_features(
        ReconcileFeatures(caller.merchant_id, id, dry_run)
    )
    if dry_run or reconciled.failed:
        response.status_code = 200
    return SubscriptionReconciliation.of(reconciled, dry_run=dry_run)
