"""The checkout in a real browser, without scripts, on a real server in this process."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from playwright.async_api import Error as BrowserError

from activities.organizations import CreatedMerchant
from models.database import Database
from tests.api.in_process import InProcess, Shop, app_with, away, gateway_of
from tests.conftest import client_of

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@dataclass
class Stage:
    """A running API, a merchant's shop on it, and a browser that notes where it goes."""

    origin: str
    shop: Shop
    browser: Browser
    folder: Path
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def page(self, **options: Any) -> AsyncIterator[Page]:
        """A page without scripts; what it looked like is kept when a test fails on it."""
        context: BrowserContext = await self.browser.new_context(
            java_script_enabled=False, **({"viewport": DESKTOP} | options)
        )
        page = await context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        try:
            yield page
        except (AssertionError, BrowserError) as error:
            shot = self.folder / "failed.png"
            await page.screenshot(path=shot, full_page=True)
            error.add_note(f"what the page looked like: {shot}")
            raise
        finally:
            await context.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium."""
    found = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed on this machine")
    # Chromium's own sandbox refuses to work for root, as whom containers run.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=found, args=flags)
        yield opened
        await opened.close()


@pytest.fixture
async def stage(
    browser: Browser, database: Database, merchant: CreatedMerchant, tmp_path: Path
) -> AsyncIterator[Stage]:
    """Everything a customer needs."""
    commands = InProcess(database, await away(), gateway_of(tmp_path))
    app = app_with(database, commands)
    # Listening before the server starts: a browser that comes early waits, and none is refused.
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    async with client_of(app, merchant.api_key) as client:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield Stage(origin, Shop(client, merchant), browser, tmp_path)
    server.should_exit = True
    await serving
    await commands.close()


async def address(stage: Stage, **members: Any) -> str:
    made = await stage.shop.subscribe(await stage.shop.advance_plan(), **members)
    url: str = made["payment"]["checkoutUrl"]
    return url.replace("http://durabill.test", stage.origin)


async def fill(page: Page, number: str) -> None:
    await page.get_by_label("Card number").fill(number)
    await page.get_by_label("Expiry date").fill("12/40")
    await page.get_by_label("Security code").fill("123")


async def test_a_customer_pays(stage: Stage) -> None:
    async with stage.page() as page:
        await page.goto(await address(stage))
        assert await page.locator(".total").inner_text() == "Total\t53.90 USD"
        await fill(page, "4242 4242 4242 4242")
        await page.get_by_role("button", name="Pay 53.90 USD").click()
        assert await page.get_by_role("heading").inner_text() == "Paid"
        assert await page.locator("form").count() == 0
        await page.reload()
        assert await page.get_by_role("heading").inner_text() == "Paid"


async def test_a_declined_customer_reads_why_and_pays_with_another_card(stage: Stage) -> None:
    async with stage.page() as page:
        await page.goto(await address(stage))
        await fill(page, "4000 0000 0000 0002")
        await page.get_by_role("button", name="Pay").click()
        alert = await page.get_by_role("alert").inner_text()
        assert alert == "Declined: Your card was declined."
        assert await page.get_by_label("Card number").input_value() == ""
        await fill(page, "5555 5555 5555 4444")
        await page.get_by_role("button", name="Pay").click()
        assert await page.get_by_role("heading").inner_text() == "Paid"


async def test_the_page_asks_no_other_host_and_breaks_none_of_its_own_rules(stage: Stage) -> None:
    complaints: list[str] = []
    async with stage.page() as page:
        page.on("console", lambda message: complaints.append(message.text))
        await page.goto(await address(stage))
        await fill(page, "4242 4242 4242 4242")
        await page.get_by_role("button", name="Pay").click()
        assert await page.get_by_role("heading").inner_text() == "Paid"
    assert {url.split("/", 3)[2] for url in stage.asked} == {stage.origin.split("/")[2]}
    assert any(url.endswith(".css") for url in stage.asked)
    assert complaints == []


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_it_fits_and_is_styled(stage: Stage, viewport: dict[str, int]) -> None:
    async with stage.page(viewport=viewport) as page:
        await page.goto(await address(stage))
        button = await page.get_by_role("button").bounding_box()
        card = await page.get_by_role("main").bounding_box()
        assert button is not None
        assert card is not None
        assert card["x"] >= 0
        assert card["x"] + card["width"] <= viewport["width"]
        # At least as large as a finger.
        assert button["height"] >= 44
        assert button["width"] >= 250
