"""Sets a sheet as PDF, offline and the same bytes each time; what stands on it is given."""

import asyncio
import json
from dataclasses import asdict
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import typst

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
    """Sets documents, a bounded number at a time: each takes a core while it lasts."""

    def __init__(self, parallel: int = 2) -> None:
        self._slots = asyncio.Semaphore(parallel)

    async def set(self, sheet: Sheet, dated: datetime) -> bytes:
        """The PDF, set in a thread of its own: the engine leaves the event loop free meanwhile."""
        async with self._slots:
            return await asyncio.to_thread(set_now, sheet, dated)


def set_now(sheet: Sheet, dated: datetime) -> bytes:
    """The PDF, as PDF/A-3 for archives; a plain one where a text is not archivable."""
    try:
        return _pdf(sheet, dated, archived=True)
    except typst.TypstError as error:
        if "PDF/A" not in str(error):
            raise
    return _pdf(sheet, dated, archived=False)


def _pdf(sheet: Sheet, dated: datetime, *, archived: bool) -> bytes:
    compiler = typst.Compiler(
        TEMPLATE,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs={"sheet": json.dumps(asdict(sheet), ensure_ascii=False)},
    )
    made = compiler.compile(
        format="pdf", timestamp=int(dated.timestamp()), pdf_standards=["a-3b"] if archived else []
    )
    assert isinstance(made, bytes)
    return made
