"""Sets a sheet as PDF, offline and the same bytes each time; what stands on it is given."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import typst

from activities.documents.hybrid import marked
from activities.documents.sheet import Sheet

TEMPLATE: Final = Path(__file__).with_name("document.typ").read_bytes()
# Packages of nothing but fonts: a glyph that the first lacks is taken from the next.
_FONT_PACKAGES: Final = ("fontpkg_inter", "manimgx_fonts", "manimgx_fonts_cjk")


@cache
def _fonts() -> typst.Fonts:
    """Read once a process, when the first document is set."""
    return typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(files(name)) for name in _FONT_PACKAGES],
    )


class Typesetter:
    """Makes documents, a bounded number at a time: each takes a core while it lasts."""

    def __init__(self, parallel: int = 2) -> None:
        self._slots = asyncio.Semaphore(parallel)

    async def run(self, work: Callable[[], bytes]) -> bytes:
        """Does it in a thread of its own: the engine leaves the event loop free meanwhile."""
        async with self._slots:
            return await asyncio.to_thread(work)


def set_pdf(sheet: Sheet, dated: datetime, xml: bytes | None = None) -> bytes:
    """The PDF, as PDF/A-3 for archives, with the XML inside where there is one.

    Where a text is not archivable it is a plain PDF, and the XML stays out: it has no place there.
    """
    try:
        made = _pdf(sheet, dated, xml, archived=True)
    except typst.TypstError as error:
        if "PDF/A" not in str(error):
            raise
        return _pdf(sheet, dated, None, archived=False)
    return made if xml is None else marked(made)


def _pdf(sheet: Sheet, dated: datetime, xml: bytes | None, *, archived: bool) -> bytes:
    inputs = {"sheet": json.dumps(asdict(sheet), ensure_ascii=False)}
    if xml is not None:
        inputs["xml"] = xml.decode()
    compiler = typst.Compiler(
        TEMPLATE,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs=inputs,
    )
    made = compiler.compile(
        format="pdf", timestamp=int(dated.timestamp()), pdf_standards=["a-3b"] if archived else []
    )
    assert isinstance(made, bytes)
    return made
