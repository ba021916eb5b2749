"""The portal in a real browser, without scripts."""

from typing import Any

import pytest

from tests.browser.test_checkout import (
    DESKTOP,
    PHONE,
    Stage,
    browser,
    fill,
    stage,
)

__all__ = ["browser", "stage"]


async def _address(stage: Stage) -> str:
    made = await stage.shop.subscribe(await stage.shop.advance_plan())
    link: Any = await stage.shop.post(f"/v0/subscriptions/{made['id']}/portal")
    return str(link["url"]).replace("http://durabill.test", stage.origin)


async def test_a_customer_reads_pays_and_reads_that_it_is_paid(stage: Stage) -> None:
    complaints: list[str] = []
    async with stage.page() as page:
        page.on("console", lambda message: complaints.append(message.text))
        address = await _address(stage)
        await page.goto(address)
        assert await page.get_by_role("heading", level=1).inner_text() == "Sub"
        await page.get_by_role("link", name="Pay").click()
        await fill(page, "4242 4242 4242 4242")
        await page.get_by_role("button", name="Pay").click()
        assert await page.get_by_role("heading").inner_text() == "Paid"
        await page.goto(address)
        assert "Paid" in await page.locator("#invoices").inner_text()
        assert await page.get_by_role("link").count() == 0
    assert {url.split("/", 3)[2] for url in stage.asked} == {stage.origin.split("/")[2]}
    assert complaints == []


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_it_fits(stage: Stage, viewport: dict[str, int]) -> None:
    async with stage.page(viewport=viewport) as page:
        await page.goto(await _address(stage))
        card = await page.get_by_role("main").bounding_box()
        table = await page.locator("#invoices").bounding_box()
        assert card is not None
        assert table is not None
        assert card["x"] >= 0
        assert card["x"] + card["width"] <= viewport["width"]
        assert table["x"] + table["width"] <= card["x"] + card["width"]
