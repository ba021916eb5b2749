"""How a page becomes an answer: templates, security headers, static files; it knows no page."""

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_HERE: Final = Path(__file__).parent
STATIC_PATH: Final = "/pages/static"

# The address holds the secret of the page: it is neither cached nor told to another site.
PRIVATE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_PAGE_HEADERS: Final = PRIVATE_HEADERS | {
    "Content-Security-Policy": (
        "default-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
}

_templates: Final = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["static"] = STATIC_PATH


def page(
    template: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """The template filled in, with the headers that every page has."""
    content = _templates.get_template(template).render(**context)
    return HTMLResponse(content, status_code=status, headers=_PAGE_HEADERS | (headers or {}))


def mount_static(app: FastAPI) -> None:
    """Serves the style sheet from this host: a page asks no other."""
    app.mount(STATIC_PATH, StaticFiles(directory=_HERE / "static"), name="static")
