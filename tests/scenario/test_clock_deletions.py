"""What is left of a test clock that is deleted while an invoice on it waits for late usage."""

from datetime import UTC, datetime, timedelta

from local.story import Numbers, checkout_url
from tests.scenario.conftest import StoryMaker

START = datetime(2026, 1, 31, 9, tzinfo=UTC)
GRACE = timedelta(hours=24)


def test_what_is_in_its_grace_is_closed_with_the_clock(tell_story: StoryMaker) -> None:
    """The last invoice of a terminated subscription is issued and collected.

    It was closing until then; the tokens that were used until the end are on it.
    """
    story = tell_story(Numbers(start=START))
    catalogue = story.set_up_catalogue()
    clock_id, customer_id = story.create_clock(), story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")
    story.use_tokens(customer_id, [500], first=START, prefix="use")
    story.advance(clock_id, START + timedelta(days=3))
    ended = story.terminate(subscription.id)
    assert ended.terminated_at == START + timedelta(days=3)
    assert story.invoices(subscription.id)[-1].issued_at is None

    deleted = story.client.test_clocks.delete(id=clock_id)

    assert deleted.deleted_at is not None
    assert deleted.current_time == START + timedelta(days=3) + GRACE
    last = story.invoices(subscription.id)[-1]
    assert (last.sequence_number, last.status) == (1, "PAID")
    assert last.issued_at == deleted.current_time
    assert [line.quantity for line in story.lines(last.id)] == [500]
    again = story.client.test_clocks.delete(id=clock_id)
    assert (again.current_time, again.deleted_at) == (deleted.current_time, deleted.deleted_at)
