"""What is written about the house is true of it, as far as a test can tell."""

import re
from pathlib import Path

from settings import Settings
from tests.structure.source import ROOT, modules, tracked

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PAGE_MENTION = re.compile(r"\bdocs/[\w/-]+(?:\.md)?")
# Put together here, so that this file does not hold what it looks for.
MACHINE_FOLDERS = ("work", "farm", "root", "tmp/bash_", "home")
MACHINE_PATH = re.compile(
    rf"(?:^|[^A-Za-z0-9_.])/(?:{'|'.join(MACHINE_FOLDERS)})[/A-Za-z]", re.MULTILINE
)
REGISTRIES = ("py" + "pi.org", "python" + "hosted", "npm" + "js.org", "index" + "-url")
CI_LINES_MAX = 30

PAGES = [path for path in tracked() if path.suffix == ".md"]
SOURCES = [path for path in tracked() if path.suffix in {".py", ".toml", ".mako"}]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_links_lead_somewhere() -> None:
    broken = {
        (_name(page), link)
        for page in PAGES
        for link in LINK.findall(CODE.sub("", page.read_text()))
        if not link.startswith(("https://", "http://")) and not _resolves(page, link)
    }
    assert broken == set()


def _resolves(page: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    path = (page.parent / target).resolve() if target else page
    if not path.exists() or not path.is_relative_to(ROOT):
        return False
    return not anchor or anchor in {_slug(each) for each in HEADING.findall(path.read_text())}


def _slug(heading: str) -> str:
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower())).strip("-")


def test_pages_that_the_source_names_exist() -> None:
    missing = {
        (_name(source), mention)
        for source in SOURCES
        if source != Path(__file__)
        for mention in PAGE_MENTION.findall(source.read_text())
        if not (ROOT / mention).exists() and not list(ROOT.glob(f"{mention}*"))
    }
    assert missing == set()


def test_nothing_names_this_machine_or_a_package_index() -> None:
    told = {
        _name(path)
        for path in tracked()
        if MACHINE_PATH.search(text := path.read_text())
        or any(registry in text for registry in REGISTRIES)
    }
    assert told == set()


def test_no_lock_file_is_tracked() -> None:
    assert not {path.name for path in tracked()} & {"uv.lock", "poetry.lock", "package-lock.json"}


def test_decisions_are_numbered_listed_and_complete() -> None:
    pages = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    index = (ROOT / "docs/adr/index.md").read_text()
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. ")
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequence"))
        assert f"({page.name})" in index
        assert f"adr/{page.name}" in navigation


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in PAGES if _is_page(path)}
    assert {page for page in pages if page not in navigation} == set()


def _is_page(path: Path) -> bool:
    return path.is_relative_to(ROOT / "docs")


def test_every_setting_that_is_read_is_documented() -> None:
    page = (ROOT / "docs/operations/environment.md").read_text()
    read = {name for module in modules() for name in re.findall(r"settings\.(\w+)", module.text)}
    names = {f"DURABILL_{name.upper()}" for name in read & set(Settings.model_fields)}
    assert len(names) > 1
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_commands_that_pages_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {
        (_name(page), target)
        for page in PAGES
        for target in re.findall(r"(?:`|\$ )make ([a-z]+)", page.read_text())
    }
    assert {each for each in named if each[1] not in targets} == set()


def test_ci_runs_what_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text()
    script = (ROOT / ".ci/run").read_text().splitlines()
    assert "make test" in readme.split("\n## Test\n")[1].split("\n## ")[0]
    assert script[-2:] == ["make check", "make test"]
    assert len(script) <= CI_LINES_MAX


def test_the_changelog_has_room_for_the_next_change() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text()
