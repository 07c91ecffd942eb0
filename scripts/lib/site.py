"""For scripts/site: mdBook's table of contents, and every link of what it made.

    site.py summary PAGES    writes PAGES/SUMMARY.md from docs/site/pages.txt and each page's title
    site.py links SITE       says which links and anchors lead nowhere; status 1 if any does
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


def summary(pages: Path) -> None:
    lines = ["# Fourstep", ""]
    # The first lines are about the list itself.
    listed = (pages / "docs/site/pages.txt").read_text().splitlines()[2:]
    for line in listed:
        if line.startswith("# "):
            lines += ["", line, ""]
            continue
        title = next(text for text in (pages / line).read_text().splitlines() if text.startswith("# "))
        bullet = "" if line == "README.md" else "- "
        lines.append(f"{bullet}[{title[2:]}]({line})")
    (pages / "SUMMARY.md").write_text("\n".join(lines) + "\n")


class Page(HTMLParser):
    """The anchors that a page has, and where its links lead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            # mdBook's own script finds its parts by itself.
            if name in ("href", "src") and value and tag in ("a", "img"):
                self.links.append(value)


def links(site: Path) -> int:
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    followed, broken = 0, []
    for path, page in pages.items():
        # All chapters on one page, and what a server shows for a page that is not there.
        if path.name in ("print.html", "404.html", "toc.html"):
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            followed += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                broken.append(f"{path.relative_to(site.resolve())}: {link} is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                broken.append(f"{path.relative_to(site.resolve())}: {link} has no such anchor")
    print("\n".join(broken), file=sys.stderr, end="\n" if broken else "")
    print(f"{followed} links of {len(pages)} pages followed, {len(broken)} lead nowhere")
    return 1 if broken or followed < 500 else 0


if __name__ == "__main__":
    command, folder = sys.argv[1], Path(sys.argv[2])
    sys.exit(summary(folder) if command == "summary" else links(folder))
