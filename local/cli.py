"""The `durabill` command line; a command imports what it needs when it runs, and decides nothing.

Every expected fault is one line on standard error and a non-zero exit status.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from local import collector
from local.child import LocalFault

if TYPE_CHECKING:
    from settings import Settings

app = typer.Typer(
    help="Durabill: durable usage-based billing.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
merchant_app = typer.Typer(no_args_is_help=True, help="Merchants of this installation.")
key_app = typer.Typer(no_args_is_help=True, help="API keys of a merchant.")
gateway_app = typer.Typer(help="The simulated payment gateway.")
app.add_typer(merchant_app, name="merchant")
app.add_typer(key_app, name="key")
app.add_typer(gateway_app, name="gateway")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Default: a free one.")]


@app.command()
def dev(  # noqa: PLR0913 - one parameter an option
    *,
    data: Annotated[Path, typer.Option(help="Where the data lies.")] = Path(".durabill"),
    ready_file: Annotated[
        Path | None,
        typer.Option("--json", help="Written when ready, gone after. Default: DATA/dev.json."),
    ] = None,
    api_port: Port = None,
    ui_port: Port = None,
    temporal_port: Port = None,
    database_port: Port = None,
    gateway_port: Port = None,
) -> None:  # fmt: skip
    """Run the whole stack in the foreground: PostgreSQL, Temporal, gateway, worker and API."""
    from rich.console import Console

    from local.dev import DevOptions, run

    ports = {
        "api": api_port,
        "ui": ui_port,
        "temporal": temporal_port,
        "database": database_port,
        "gateway": gateway_port,
    }
    run(DevOptions(directory=data, ready_file=ready_file, ports=ports), Console())


@app.command()
def api() -> None:
    """Serve the HTTP API on DURABILL_API_HOST and DURABILL_API_PORT."""
    settings = _settings()
    with collector.loading():
        from api.app import create_app, served
        from local.serve import serve

        application = served(create_app(settings))
    serve(application, settings.api_host, settings.api_port)


@app.command()
def worker() -> None:
    """Run the Temporal worker: workflows and activities."""
    settings = _settings()
    with collector.loading():
        import uvloop

        from worker import run as run_worker

    collector.settle(collector.WITH_CYCLES)
    uvloop.run(run_worker(settings))


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date."""
    from local.migrate import upgrade

    upgrade(_settings().database_url)


@app.command()
def reconcile() -> None:
    """Prove the books: exit 0 when every proof holds, else print the first difference."""
    from local import administration

    difference = asyncio.run(administration.first_difference(_settings()))
    if difference is not None:
        typer.echo(difference)
        raise typer.Exit(1)
    typer.echo("Every proof holds.")


@app.command()
def retention() -> None:
    """Delete usage events that their merchants no longer keep; a schedule does it every night."""
    from local import administration

    deleted = asyncio.run(administration.delete_old_usage(_settings()))
    for merchant_id, count in sorted(deleted.items()):
        typer.echo(f"{merchant_id}  {count} events")
    typer.echo(f"{sum(deleted.values())} events deleted.")


@merchant_app.command("create")
def merchant_create(
    *,
    name: Annotated[str, typer.Option(help="The merchant's name.")],
    live: Annotated[bool, typer.Option("--live", help="A live merchant, not a sandbox.")] = False,
    as_json: Json = False,
) -> None:
    """Create a merchant with its first user and API key; the key is shown only now."""
    from local import administration

    _print(
        asyncio.run(administration.create_merchant(_settings(), name, live=live)), as_json=as_json
    )


@key_app.command("create")
def key_create(
    *, merchant: Annotated[str, typer.Option(help="The merchant's id.")], as_json: Json = False
) -> None:
    """Create another API key; it is shown only now."""
    from local import administration

    _print(asyncio.run(administration.create_key(_settings(), merchant)), as_json=as_json)


@key_app.command("list")
def key_list(
    *, merchant: Annotated[str, typer.Option(help="The merchant's id.")], as_json: Json = False
) -> None:
    """List a merchant's API keys, never the keys themselves."""
    from local import administration

    _print(asyncio.run(administration.list_keys(_settings(), merchant)), as_json=as_json)


@key_app.command("revoke")
def key_revoke(key_id: Annotated[str, typer.Argument(help="The key's id.")]) -> None:
    """Revoke an API key: it is refused from now on."""
    from local import administration

    asyncio.run(administration.revoke_key(_settings(), key_id))
    typer.echo(f"{key_id} is revoked.")


@gateway_app.callback(invoke_without_command=True)
def gateway(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 9900,
    book: Annotated[Path, typer.Option(help="The gateway's own book.")] = Path(
        ".durabill/gateway.db"
    ),
) -> None:
    """Serve the simulated gateway on this machine, or ask a running one."""
    if context.invoked_subcommand is not None:
        return
    from local.gateway import create_gateway
    from local.ports import HOST
    from local.serve import serve

    serve(create_gateway(book), HOST, port)


@gateway_app.command("charges")
def gateway_charges(*, as_json: Json = False) -> None:
    """Print the book of the gateway at DURABILL_GATEWAY_URL."""
    from local.probe import get_json

    url = _settings().gateway_url
    charges = get_json(f"{url}/charges")
    if charges is None:
        raise LocalFault(f"no gateway answers at {url} (DURABILL_GATEWAY_URL)")
    _print(charges, as_json=as_json)


def _settings() -> "Settings":
    from pydantic import ValidationError

    from settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise LocalFault(f"DURABILL_{name}: {first['msg']}") from None


def _print(content: Any, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    rows = content if isinstance(content, list) else [content]
    for row in rows:
        typer.echo("  ".join(f"{name}: {value}" for name, value in row.items()))


def main() -> None:
    """Runs the command line; an expected fault is a line, not a traceback."""
    try:
        app()
    except _expected_faults() as fault:
        typer.echo(f"durabill: {_one_line(fault)}", err=True)
        sys.exit(2)


def _expected_faults() -> tuple[type[BaseException], ...]:
    """Asked only when something was raised, so that a good run imports none of it."""
    from billing.errors import BillingError

    faults: list[type[BaseException]] = [LocalFault, BillingError, OSError]
    if "activities.gateways.port" in sys.modules:
        from activities.gateways.port import GatewayUnavailable

        faults.append(GatewayUnavailable)
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.exc import SQLAlchemyError

        faults.append(SQLAlchemyError)
    return tuple(faults)


def _one_line(fault: BaseException) -> str:
    """What went wrong, without a statement or its parameters."""
    cause = getattr(fault, "orig", None) or fault
    if type(cause).__name__ == "UndefinedTable":
        return "the database has no tables yet: run `durabill migrate`"
    return " ".join(str(cause).split()) or type(fault).__name__
