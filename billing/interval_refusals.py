"""Why an interval is not changed, one class a reason; when that is so is decided elsewhere."""

from billing.errors import Conflict


class IntervalOverlap(Conflict):
    """Two intervals of a key would be billed for the same time."""

    code = "INTERVAL_OVERLAP"


class IntervalGap(Conflict):
    """A key would be billed by nothing for a while, and then again."""

    code = "INTERVAL_GAP"


class PeriodBilled(Conflict):
    """What an invoice has charged, or a period that is over, is not changed afterwards."""

    code = "INTERVAL_PERIOD_BILLED"


class OneOffTwice(Conflict):
    """What is billed once would be billed again."""

    code = "INTERVAL_ONE_OFF_TWICE"


class OtherPlanVersion(Conflict):
    """The subscription is on another version than the caller thinks."""

    code = "INTERVAL_OTHER_PLAN_VERSION"


class IntervalCoversPrice(Conflict):
    """A version that is to come sells what the interval would bill."""

    code = "INTERVAL_COVERS_PRICE"


class ObligationCut(Conflict):
    """An obligation is owed whole: no interval begins or ends inside its period."""

    code = "INTERVAL_CUTS_OBLIGATION"


class PlanChangeWaits(Conflict):
    """A plan of another cadence waits for the boundary: what lies over this one would be cut."""

    code = "INTERVAL_PLAN_CHANGE_WAITS"
