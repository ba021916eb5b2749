"""PDFs from given facts: what is on their pages, as text and as ink."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

import pypdfium2
import pytest
from pypdf import PdfReader

from activities.documents.facts import DocumentFacts, DocumentLine, Party
from activities.documents.sheet import lay_out
from activities.documents.typesetting import Typesetter, set_pdf
from activities.documents.wording import Wording
from billing.documents import tax_groups
from billing.money import round_half_up
from billing.periods import Period

D = Decimal
START, END = datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC)
LINK = "https://billing.example.com/checkout/abc"


def a_line(name: str, price: str, **members: Any) -> DocumentLine:
    rate = D(members.pop("tax_rate", "0.19"))
    values: dict[str, Any] = {
        "kind": "fee",
        "description": "",
        "unit": "",
        "window": Period(START, END),
        "quantity": D(1),
        "unit_price": D(price),
        "fraction": "1",
        "amount": D(price),
    }
    return DocumentLine(
        name=name,
        tax_rate=rate,
        total_price=D(price),
        total_tax=D(price) * rate,
        **values | members,
    )


def facts(*lines: DocumentLine, **members: Any) -> DocumentFacts:
    """An invoice over these lines, due in EUR from a Berlin seller."""
    subtotal = sum((line.total_price for line in lines), D(0))
    tax = round_half_up(sum((line.total_tax for line in lines), D(0)), 2)
    values: dict[str, Any] = {
        "number": "INV-2026-02-001",
        "invoice_number": "INV-2026-02-001",
        "is_credit_note": False,
        "standing": "due",
        "currency": "EUR",
        "tax_behavior": "exclusive",
        "issued_at": END,
        "due_at": datetime(2026, 3, 14, tzinfo=UTC),
        "paid_at": None,
        "period": Period(START, END),
        "seller": Party(
            name="Inference Works GmbH",
            email="billing@inference.example",
            address={"line1": "Torstr. 1", "city": "Berlin", "zipCode": "10115", "country": "DE"},
            tax_id="DE136695976",
        ),
        "buyer": Party(
            name="Ada Analytics",
            email="ada@example.com",
            address={"line1": "2 Rue Neuve", "city": "Paris", "zipCode": "75001", "country": "FR"},
            tax_id="FR40303265045",
        ),
        "subtotal": subtotal,
        "tax": tax,
        "total": subtotal + tax,
        "paid": D(0),
        "taxes": tax_groups(lines, subtotal=subtotal, tax=tax, digits=2),
    }
    return DocumentFacts(lines=lines, **values | members)


def pdf_of(document: DocumentFacts, locale: str | None = None, link: str | None = LINK) -> bytes:
    return set_pdf(lay_out(document, Wording.of(locale), link), document.issued_at)


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page, with every white space as one blank."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(pdf)).pages]


THREE = (
    a_line("Platform fee", "49.00"),
    a_line(
        "Tokens", "103.00", kind="metric", quantity=D(51500), unit_price=D("0.002"), unit="token"
    ),
    a_line("Support", "54.84", tax_rate="0.07", unit_price=D(100), fraction="17/31"),
)


def test_everything_stands_on_it() -> None:
    """49 + 103 + 54.84 = 206.84; 152 at 19 % = 28.88, 54.84 at 7 % = 3.8388 as 3.84; 239.56."""
    (text,) = pages_of(pdf_of(facts(*THREE)))
    for told in (
        "Invoice INV-2026-02-001",
        "Inference Works GmbH",
        "Torstr. 1",
        "10115 Berlin",
        "Germany",
        "Tax ID: DE136695976",
        "Ada Analytics",
        "75001 Paris",
        "France",
        "Tax ID: FR40303265045",
        "February 28, 2026",
        "March 14, 2026",
        "51,500 token €0.002 19% €103.00",
        "prorated to 54.84% 1 €100.00 7% €54.84",
        "Subtotal €206.84",
        "Tax 19% (€152.00) €28.88",
        "Tax 7% (€54.84) €3.84",
        "Total €239.56",
        "Amount due (EUR) €239.56",
        LINK,
        "Page 1 of 1",
    ):
        assert told.removeprefix("Invoice ") in text, (told, text)


def test_the_same_facts_are_the_same_bytes() -> None:
    document = facts(*THREE)
    made = pdf_of(document)
    assert made == pdf_of(document)
    assert made.startswith(b"%PDF-")
    assert b"pdfaid" in made
    assert made != pdf_of(facts(*THREE, number="INV-2026-02-002"))


def test_a_paid_invoice_says_so() -> None:
    paid = facts(*THREE, standing="paid", paid=D("239.56"), paid_at=END)
    (text,) = pages_of(pdf_of(paid, "de"))
    assert "Rechnung Bezahlt" in text
    assert "Bezahlt am 28. Februar 2026 -239,56 €" in text
    assert "Offener Betrag (EUR) 0,00 €" in text
    assert LINK not in text


@pytest.mark.parametrize(
    ("standing", "words"), [("cancelled", "Cancelled"), ("written_off", "Written off")]
)
def test_what_nobody_owes_asks_for_nothing(standing: str, words: str) -> None:
    (text,) = pages_of(pdf_of(facts(*THREE, standing=standing)))
    assert words in text
    assert "Amount due" not in text
    assert LINK not in text


def test_a_credit_note_names_its_invoice() -> None:
    document = facts(*THREE, is_credit_note=True, number="crn_1", standing="refunded", due_at=None)
    (text,) = pages_of(pdf_of(document))
    assert "Credit note Refunded" in text
    assert "For invoice INV-2026-02-001" in text
    assert "Amount due" not in text


def test_tax_inside_the_price_is_shown_inside() -> None:
    """9.99 with 10 % inside: 9.08 and 0.91."""
    line = a_line("Fee", "9.99", tax_rate="0.1")
    document = facts(
        line,
        tax_behavior="inclusive",
        subtotal=D("9.08"),
        tax=D("0.91"),
        total=D("9.99"),
        taxes=tax_groups(
            [a_line("Fee", "9.0818", tax_rate="0.1")], subtotal=D("9.08"), tax=D("0.91"), digits=2
        ),
    )
    (text,) = pages_of(pdf_of(document))
    assert "Amount incl. tax" in text
    assert "1 €9.99 10% €9.99" in text
    assert "Without tax €9.08 Tax 10% (€9.08) €0.91 Total €9.99" in text


def test_a_business_abroad_is_told_to_account_for_the_tax() -> None:
    untaxed = a_line("Fee", "49.00", tax_rate="0")
    note = "Reverse charge: the customer accounts for the tax."
    assert note in pages_of(pdf_of(facts(untaxed)))[0]
    assert note not in pages_of(pdf_of(facts(untaxed, THREE[0])))[0]


def test_markup_is_printed_as_it_is() -> None:
    nasty = '*b* _i_ #panic("x") $x^2$ <a> \\ `c` = T @ref [y] // end /* no */ "q" {{ x }}'
    seller = Party(name="#let x = *y*", email="", address={}, tax_id=None)
    (text,) = pages_of(pdf_of(facts(a_line(nasty, "1.00"), seller=seller)))
    for word in nasty.split():
        assert word in text, word
    assert "#let x = *y*" in text


def test_a_long_word_stays_in_its_column() -> None:
    line = a_line("W" * 120, "12345678.90", quantity=D("1234567.123456"), unit="gigabyte-hours")
    with pypdfium2.PdfDocument(pdf_of(facts(replace(line, kind="metric")))) as document:
        text = document[0].get_textpage()
        boxes = [
            (text.get_text_range(at, 1), text.get_charbox(at)) for at in range(text.count_chars())
        ]
        letters = [box for letter, box in boxes if letter == "W"]
        start = text.search("1,234,567.12").get_next()
        assert start is not None
        quantity_left = text.get_charbox(start[0])[0]
    assert len(letters) >= 120
    assert max(box[2] for box in letters) < quantity_left


def test_300_lines_repeat_their_header_and_count_their_pages() -> None:
    pages = pages_of(pdf_of(facts(*(a_line(f"Line {n}", f"{n}.00") for n in range(1, 301)))))
    assert len(pages) > 5
    for number, text in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in text
    for number in range(1, 301):
        assert sum(f"Line {number} Jan 31" in text for text in pages) == 1, number
    headed = [text for text in pages if "Line " in text]
    assert all("Description Quantity Unit price Tax Amount" in text for text in headed)
    # 1 + 2 + … + 300 = 45 150; 19 % of it is 8 578.50.
    assert "Total €53,728.50" in pages[-1]


@pytest.mark.parametrize(
    ("locale", "name"),
    [
        ("ja", "株式会社東京サポート"),
        (None, "Поддержка"),
        (None, "الدعم"),
        (None, "תמיכה"),
        (None, "सहायता"),
        (None, "การสนับสนุน"),
        (None, "한국어 지원"),
        (None, "支持服务"),
    ],
)
def test_scripts_of_the_world_have_glyphs(locale: str | None, name: str) -> None:
    made = pdf_of(facts(a_line(name, "1.00")), locale)
    # As PDF/A it would have been refused with a character that no font draws.
    assert b"pdfaid" in made


def test_a_character_without_any_glyph_costs_the_archive_format_only() -> None:
    made = pdf_of(facts(a_line("Rune \U0001e900 and \ue000", "1.00")))
    assert b"pdfaid" not in made
    assert "Rune" in pages_of(made)[0]


def test_amounts_are_really_drawn() -> None:
    """The page as an image: there is ink where the text says that the total stands."""
    with pypdfium2.PdfDocument(pdf_of(facts(*THREE))) as document:
        page = document[0]
        text = page.get_textpage()
        for told in ("€239.56", "INV-2026-02-001", "€103.00"):
            match = text.search(told).get_next()
            assert match is not None, told
            box = text.get_charbox(match[0] + 1)
            assert _ink(page, box) > 0.1, told
        # And none where nothing is written.
        assert _ink(page, (60.0, 100.0, 200.0, 160.0)) == 0


def _ink(page: pypdfium2.PdfPage, box: tuple[float, float, float, float]) -> float:
    """The dark part of a region of the page, in points from its lower left."""
    scale = 4
    image = page.render(scale=scale, grayscale=True)
    left, bottom, right, top = (round(each * scale) for each in box)
    rows = range(image.height - top, image.height - bottom)
    pixels = bytes(image.buffer)
    dark: int = sum(
        pixels[row * image.stride + column] < 128 for row in rows for column in range(left, right)
    )
    return dark / max(1, len(rows) * (right - left))


async def test_the_event_loop_stays_free_meanwhile() -> None:
    sheet = lay_out(facts(*(a_line(f"Line {n}", "1.00") for n in range(300))), Wording.of(None))
    setting = asyncio.create_task(Typesetter().run(lambda: set_pdf(sheet, END)))
    turns = 0
    while not setting.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await setting).startswith(b"%PDF-")
    # Set on the loop itself, it would have been done after a turn or two.
    assert turns > 20
