"""The built documentation in a browser: on a desktop and a phone, light and dark."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from playwright.sync_api import Browser

from tests.support import ROOT
from tests.support.chromium import browser  # noqa: F401  # a fixture

pytestmark = pytest.mark.browser

SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SCROLLS = "document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth"
LINKS = "[...document.querySelectorAll('a[href]')].map(link => link.href).filter(url => url.startsWith('file:'))"
IDS = "[...document.querySelectorAll('[id]')].map(element => element.id)"
# Returns the visible texts whose contrast is below WCAG 2.2, 1.4.3: 4.5, or 3 for large text.
CONTRAST = """() => {
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const known = new Map();
  const rgba = color => {  // of any CSS color: a pixel is painted with it
    if (!known.has(color)) {
      pixel.clearRect(0, 0, 1, 1);
      pixel.fillStyle = color;
      pixel.fillRect(0, 0, 1, 1);
      known.set(color, [...pixel.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(color);
  };
  const over = (top, below) => below.map((value, i) => value + (top[i] - value) * top[3] / 255);
  const backgrounds = new Map([[null, [255, 255, 255]]]);
  const background = element => {
    if (!backgrounds.has(element)) {
      const own = rgba(getComputedStyle(element).backgroundColor);
      backgrounds.set(element, over(own, background(element.parentElement)));
    }
    return backgrounds.get(element);
  };
  const linear = value => value <= 10.31475 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const elements = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (walker.currentNode.data.trim()) elements.add(walker.currentNode.parentElement);
  const faults = [];
  for (const element of elements) {
    if (!element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})) continue;
    const style = getComputedStyle(element), below = background(element);
    const ratio = contrast(luminance(over(rgba(style.color), below)), luminance(below));
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) faults.push(`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return faults;
}"""


@dataclass
class Visit:
    """What the browser found on all pages."""

    faults: dict[str, list[str]] = field(default_factory=lambda: {"scrolls": [], "contrast": [], "errors": []})
    links: set[tuple[str, str]] = field(default_factory=set)
    ids: dict[str, set[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def visit(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Visit:  # noqa: F811
    """Build the documentation, and open each page once in each size and color scheme."""
    site = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-E", "-d", str(site / ".trees")]
    subprocess.run([*build, str(ROOT / "docs"), str(site)], cwd=ROOT, check=True, timeout=280)
    found = Visit()
    page = browser.new_page(reduced_motion="reduce")
    name = ""
    page.on("pageerror", lambda error: found.faults["errors"].append(f"{name}: {error}"))
    page.on("requestfailed", lambda request: found.faults["errors"].append(f"{name}: {request.url}"))
    page.on(
        "console",
        lambda message: (
            message.type in ("error", "warning") and found.faults["errors"].append(f"{name}: {message.text}")
        ),
    )
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site).as_posix()
        page.goto(path.as_uri())
        found.ids[path.as_uri()] = {"", *page.evaluate(IDS)}
        found.links |= {(name, link) for link in page.evaluate(LINKS)}
        for size, viewport in SIZES.items():
            page.set_viewport_size(viewport)
            if page.evaluate(SCROLLS):
                found.faults["scrolls"].append(f"{name} on a {size}")
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                found.faults["contrast"] += [f"{name}, {size}, {scheme}: {fault}" for fault in page.evaluate(CONTRAST)]
    page.close()
    return found


FAULTY = """<body style="background: #fff"><p style="color: #888">grey</p>
<p style="color: #777; font-size: 24px">large</p>
<div style="background: rgb(0 0 0 / 90%)"><a href="#" style="color: #00e">dark</a></div>
<p style="opacity: 0; color: #fff">hidden</p><pre style="width: 2000px">wide</pre>"""


def test_faults_are_found(browser: Browser) -> None:  # noqa: F811
    """A page that is too wide, and texts with too little contrast, are found; hidden and large texts are not."""
    page = browser.new_page()
    page.set_content(FAULTY)
    assert page.evaluate(SCROLLS)
    assert [fault.partition(":")[0] for fault in page.evaluate(CONTRAST)] == ["grey", "dark"]
    page.close()


def test_no_page_scrolls_sideways(visit: Visit) -> None:
    """No page is wider than the window, on a desktop or on a phone."""
    assert visit.faults["scrolls"] == []


def test_no_page_has_an_error(visit: Visit) -> None:
    """No page logs an error or a warning in the console, or misses a file."""
    assert visit.faults["errors"] == []


def test_no_internal_link_is_broken(visit: Visit) -> None:
    """Each link to a page, to a place on a page or to a file has a target."""

    def works(link: str) -> bool:
        url, fragment = urldefrag(link)
        if url in visit.ids:
            return unquote(fragment) in visit.ids[url]
        return Path(unquote(url.removeprefix("file://"))).is_file()

    assert len(visit.ids) > 30
    assert sorted(pair for pair in visit.links if not works(pair[1])) == []


def test_every_text_has_enough_contrast(visit: Visit) -> None:
    """Each text, links included, has the contrast that WCAG 2.2 AA requires."""
    assert visit.faults["contrast"] == []
