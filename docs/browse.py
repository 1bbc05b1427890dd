"""Opens every page of the built site in headless Chromium and says what is wrong with it: `make browse`.

Each page, at the width of a desk and of a phone: no error in the console, no request that fails, every formula set,
no link within the site that leads nowhere, nothing wider than the screen. The search has to find `GroupConv`.
Screenshots of the main pages go to docs/_build/shots.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
from rich.console import Console
from rich.progress import track

BUILT = Path(__file__).parent / "_build" / "html"
SHOTS = BUILT.parent / "shots"
CHROMIUM = "/usr/bin/chromium"  # of Debian's package
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
MAIN = """
    index quickstart concepts/index concepts/truncated_window tutorials/index tutorials/02_hermite_kernels
    tutorials/04_segmenting_mri tutorials/05_own_layer howto/choosing accuracy pitfalls gallery/index api/index
    results/index
"""
WANTED = "GroupConv"
# What a page says about itself: formulas that wait or failed, its links and their targets, and what sticks out.
LOOK = """() => ({
  formulas: document.querySelectorAll('.math').length,
  unset: [...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container')).map(e => e.textContent),
  failed: [...document.querySelectorAll('mjx-merror')].map(e => e.textContent),
  links: [...document.querySelectorAll('a[href]')].map(e => e.href),
  ids: [...document.querySelectorAll('[id]')].map(e => e.id),
  blank: [...document.images].filter(e => e.complete && !e.naturalWidth).map(e => e.src),
})"""
SET = "() => window.MathJax?.startup?.promise ? MathJax.startup.promise.then(() => true) : true"
OUT = "() => document.documentElement.scrollWidth - window.innerWidth"


class Quiet(SimpleHTTPRequestHandler):
    """A web server that does not write a line for every file."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which this folder can be read: browsers forbid files some of what they allow to sites."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()


class Visit:
    """What was found on the pages."""

    def __init__(self, browser: Browser, root: str) -> None:
        self.root = root
        self.page = browser.new_page(viewport=DESK)  # type: ignore[arg-type]
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complain(str(error)))
        self.page.on("requestfailed", lambda request: self._request(request))
        self.here = ""
        self.complaints: list[str] = []
        self.targets: dict[str, set[str]] = {}
        self.links: dict[str, list[str]] = {}
        self.formulas = 0

    def complain(self, text: str) -> None:
        """Something is wrong with the page that is open."""
        self.complaints.append(f"{self.here}: {text.strip()[:200]}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complain(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # a page that was left before all was loaded
            self.complain(f"not loaded: {request.url}")

    def look(self, name: str) -> None:
        """Opens a page at both widths."""
        self.here = name
        self.page.set_viewport_size(DESK)  # type: ignore[arg-type]
        self.page.goto(self.root + name, wait_until="load")
        self.page.evaluate(SET)
        said = self.page.evaluate(LOOK)
        self.formulas += said["formulas"]
        for what in ("unset", "failed", "blank"):
            for text in said[what]:
                self.complain(f"{what}: {text}")
        self.targets[name], self.links[name] = set(said["ids"]), said["links"]
        self.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        if (over := self.page.evaluate(OUT)) > 0:
            self.complain(f"{over} pixels wider than a phone")

    def follow(self) -> int:
        """Checks every link within the site; their number."""
        count = 0
        for page, links in self.links.items():
            self.here = page
            for link in sorted(set(links)):
                address, target = urldefrag(urljoin(self.root + self.here, link))
                if not address.startswith(self.root):
                    continue
                count += 1
                path = unquote(urlparse(address).path).lstrip("/") or "index.html"
                if not (BUILT / path).exists():
                    self.complain(f"leads nowhere: {link}")
                elif target and path in self.targets and unquote(target) not in self.targets[path]:
                    self.complain(f"no such place: {link}")
        return count

    def search(self, word: str) -> list[str]:
        """The addresses that the site's own search finds."""
        self.here = "search.html"
        self.page.set_viewport_size(DESK)  # type: ignore[arg-type]
        self.page.goto(f"{self.root}search.html?q={word}")
        self.page.wait_for_selector("#search-results li a", timeout=20_000)
        self.page.wait_for_timeout(1000)
        found = self.page.evaluate("() => [...document.querySelectorAll('#search-results li a')].map(e => e.href)")
        if not any(word in link for link in found):
            self.complain(f"the search for {word} does not find its page")
        return list(found)


def shoot(browser: Browser, root: str) -> int:
    """Pictures of the main pages: light and dark at a desk, and on a phone."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    kinds = {"light": (DESK, "light"), "dark": (DESK, "dark"), "phone": (PHONE, "light")}
    for kind, (size, scheme) in kinds.items():
        page: Page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        for name in MAIN.split():
            page.goto(f"{root}{name}.html", wait_until="load")
            page.evaluate(SET)
            page.screenshot(path=str(SHOTS / f"{name.replace('/', '-')}-{kind}.png"), full_page=True)
        page.close()
    return len(kinds) * len(MAIN.split())


def main() -> int:
    """Prints what was found; 1 if anything is wrong."""
    console = Console(width=200)
    pages = sorted(path.relative_to(BUILT).as_posix() for path in BUILT.rglob("*.html") if "_static" not in path.parts)
    if not pages:
        console.print(f"expected the built site in {BUILT}, found none: run `make docs` first")
        return 1
    with served(BUILT) as root, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        visit = Visit(browser, root)
        for name in track(pages, "pages", console=console):
            visit.look(name)
        links, found = visit.follow(), visit.search(WANTED)
        shots = shoot(browser, root)
        browser.close()
    for complaint in visit.complaints:
        console.print(complaint, markup=False)
    console.print(
        f"{len(pages)} pages, {visit.formulas} formulas, {links} links within the site, {len(found)} places found for "
        f"{WANTED}, {shots} screenshots in {SHOTS}; {len(visit.complaints)} complaints"
    )
    return int(bool(visit.complaints))


if __name__ == "__main__":
    sys.exit(main())
