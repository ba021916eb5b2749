"""`make demo`: starts the stack, tells the story to a person and stops everything it started.

KEEP=1 leaves the stack running until Ctrl-C.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from local.dev import program
from local.story import DECLINES_TWICE_CARD, Numbers, Story, checkout_url, token_amounts

READY_SECONDS = 120
STOP_SECONDS = 30
TOKENS_REPEATED = 50
console = Console(width=100)


@contextmanager
def stack(directory: Path) -> Iterator[dict[str, str]]:
    """A `durabill dev` of its own; its addresses."""
    ready_file = directory / "demo.json"
    log = (directory / "dev.log").open("w")
    child = subprocess.Popen(
        [sys.executable, str(program()), "dev", "--data", str(directory), "--json",
         str(ready_file)],
        stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        yield _await_ready(child, ready_file, directory)
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(STOP_SECONDS)
        log.close()


def _await_ready(
    child: "subprocess.Popen[bytes]", ready_file: Path, directory: Path
) -> dict[str, str]:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if ready_file.exists():
            addresses: dict[str, str] = json.loads(ready_file.read_text())
            return addresses
        if child.poll() is not None:
            break
        time.sleep(0.1)
    console.print((directory / "dev.log").read_text(), style="red", markup=False)
    raise SystemExit("The stack did not become ready")


def tell(step: str) -> None:
    """One step of the story."""
    console.print(f"[green]✓[/] {step}")


def run_story(addresses: dict[str, str]) -> None:
    """The story of the tutorial, from the catalogue to the last invoice."""
    numbers = Numbers()
    story = Story(addresses, numbers, tell)
    catalogue = story.set_up_catalogue()
    clock_id = story.create_clock()
    customer_id = story.create_customer()
    subscription = story.subscribe(catalogue, customer_id, clock_id)
    story.pay(checkout_url(subscription))
    story.await_status(subscription.id, "active")

    console.rule("Month 1: usage")
    _use(story, customer_id, numbers)
    _advance(story, clock_id, numbers.start + timedelta(days=28), "until the period ends")
    story.use_tokens(customer_id, [1000], first=numbers.start + timedelta(days=27), prefix="late")
    tell("1 late event of 1000 tokens arrives within the grace of 24 hours and still counts")
    _advance(story, clock_id, numbers.start + timedelta(days=29), "until the grace ends")
    _show(story, subscription.id)

    console.rule("Month 2: a card that declines twice")
    story.save_card(customer_id, DECLINES_TWICE_CARD)
    _advance(story, clock_id, numbers.start + timedelta(days=60), "until the next issue")
    _show(story, subscription.id)
    _advance(story, clock_id, numbers.start + timedelta(days=63), "through dunning's retries")
    _show(story, subscription.id)

    console.rule("The end")
    story.terminate(subscription.id)
    _advance(story, clock_id, numbers.start + timedelta(days=70), "until the last invoice is paid")
    _show(story, subscription.id)
    revenue = story.client.revenue.get(
        start_time=numbers.start, end_time=numbers.start + timedelta(days=71)
    )
    tell(f"Net revenue: {revenue.net_revenue} {numbers.currency}")


def _use(story: Story, customer_id: str, numbers: Numbers) -> None:
    amounts = token_amounts(numbers.events)
    first = numbers.start + timedelta(days=1)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("1000 events", total=len(amounts))
        for at in range(0, len(amounts), TOKENS_REPEATED):
            batch = amounts[at : at + TOKENS_REPEATED]
            story.use_tokens(
                customer_id, batch, first=first + timedelta(minutes=at), prefix=f"use-{at}"
            )
            progress.advance(bar, len(batch))
    story.use_tokens(customer_id, amounts[:TOKENS_REPEATED], first=first, prefix="use-0")
    tell(f"{len(amounts)} events, {TOKENS_REPEATED} of them sent twice and counted once")


def _advance(story: Story, clock_id: str, to: object, why: str) -> None:
    with Progress(console=console, transient=True) as progress:
        progress.add_task(f"The clock runs {why}", total=None)
        story.advance(clock_id, to)  # type: ignore[arg-type]


def _show(story: Story, subscription_id: str) -> None:
    table = Table("#", "number", "status", "period", "subtotal", "tax", "total", "unpaid")
    for invoice in story.invoices(subscription_id):
        table.add_row(
            str(invoice.sequence_number),
            invoice.invoice_number or "-",
            str(invoice.status),
            f"{invoice.period_start:%Y-%m-%d} - {invoice.period_end:%Y-%m-%d}",
            invoice.subtotal,
            invoice.total_tax,
            invoice.grand_total,
            invoice.unpaid_amount,
        )
    console.print(table)


def _reconcile(addresses: dict[str, str]) -> None:
    environment = {
        **os.environ,
        "DURABILL_DATABASE_URL": addresses["databaseUrl"],
        "DURABILL_TEMPORAL_ADDRESS": addresses["temporalAddress"],
        "DURABILL_GATEWAY_URL": addresses["gatewayUrl"],
    }
    proof = subprocess.run(
        [sys.executable, str(program()), "reconcile"], env=environment, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    if proof.returncode != 0:
        raise SystemExit(f"The books do not agree: {proof.stdout}{proof.stderr}")
    tell("Ledger, invoices and the payment provider agree to the cent")


def main() -> None:
    """Runs the demo in a folder of its own, so that every run starts from nothing."""
    keep = os.environ.get("KEEP") == "1"
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="durabill-demo-") as folder:
        console.rule("Durabill: usage in, paid invoice out")
        with stack(Path(folder)) as addresses:
            tell("PostgreSQL, Temporal, gateway, worker and API are up")
            run_story(addresses)
            _reconcile(addresses)
            console.print(f"API: {addresses['apiUrl']} (docs at /docs)")
            console.print(f"Temporal UI: {addresses['temporalUiUrl']}")
            if keep:
                console.print(f"API key: {addresses['apiKey']}")
                console.print("Still running; Ctrl-C stops it.")
                _wait_for_interrupt()
    console.print("[bold green]Done; everything that was started has stopped.[/]")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _wait_for_interrupt() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("Stopping …")


if __name__ == "__main__":
    main()
