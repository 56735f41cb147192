#!/usr/bin/env python3
"""A report page in a real browser, without a window: what people see is there, in light and in dark.

  report_browser_test.py KELVIN [FOLDER]    FOLDER keeps the pages and the pictures

Makes a trace, tunes a config on it and simulates it, both with --report, and opens the pages in Chromium at the
width of a desktop and of a phone, in light and in dark:

  1. no script error, no message of the console, nothing asked of a network;
  2. each plot has the series and points that its table has; the plot of capacities has one for each policy, and MIN;
  3. every text lies inside the viewport, or inside a box that scrolls; no text of a plot overlaps another;
  4. pointing at a plot shows its values; a click on a heading sorts;
  5. texts stand out from what is behind them; the picture is not blank, and dark is darker than light.

Skips (exit 77), and says so, where there is no Chromium.
"""
import sys

sys.dont_write_bytecode = True  # nothing is left beside the sources
try:
    import json
    import os
    import shutil
    import signal
    import subprocess
    import tempfile
    import time

    from headless_browser import TIMEOUT, Browser, colours_of, find_browser
except ImportError as error:
    print("SKIPPED: this python lacks %s; install python3" % error.name)
    sys.exit(77)

SKIP = 77

CONFIG = """
[space]
block_bytes = "64KiB"
[[tier]]
name = "dram"
kind = "dram"
capacity = "32MiB"
[[tier]]
name = "nvme"
kind = "nvme"
path = "%s/blocks"
capacity = "256MiB"
direct = "auto"
"""


PLOTS = """
  return [...document.querySelectorAll('figure')].map(figure => ({
    id: figure.id, kind: figure.dataset.kind,
    series: [...figure.querySelectorAll('.series')].map(group => group.dataset.name),
    legend: [...figure.querySelectorAll('.legend li')].map(item => item.textContent),
    points: figure.querySelectorAll('.mark[data-at]').length,
    styles: [...figure.querySelectorAll('.legend li svg')].map(mark => mark.innerHTML.replace(/\\bc[0-9b]\\b/g, '')),
    heads: [...figure.querySelectorAll('th')].map(head => head.textContent),
    cells: [...figure.querySelectorAll('tbody td')].filter(cell => cell.textContent !== '').length,
    rows: figure.querySelectorAll('tbody tr').length,
    bad: /NaN|Infinity/.test(figure.innerHTML),
  }));
"""

# Texts outside of the viewport that no scrolling box holds; texts of one plot that overlap; wide page.
PLACES = """
  const found = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) found.push('the page is wider than the viewport');
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const parent = node.parentElement;
    if (!node.textContent.trim() || parent.closest('script, style, .scroll, pre, [hidden]')) continue;
    if (parent.closest('details:not([open])') && !parent.closest('summary')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.left < -0.5 || box.right > width + 0.5) found.push('outside: ' + node.textContent.trim());
    }
  }
  for (const svg of document.querySelectorAll('svg.plot')) {
    const around = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
    texts.forEach(([a, p], i) => {
      if (p.left < around.left - 1 || p.right > around.right + 1 || p.top < around.top - 1 || p.bottom > around.bottom + 1)
        found.push('cut off: ' + a);
      for (const [b, q] of texts.slice(i + 1)) {
        if (p.left < q.right && q.left < p.right && p.top < q.bottom - 2 && q.top < p.bottom - 2) found.push('overlap: ' + a + ' / ' + b);
      }
    });
  }
  return found;
"""

# Contrast of texts with the nearest background, and of the series' colours with their card.
CONTRAST = """
  const light = text => {
    const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const found = [];
  for (const element of document.querySelectorAll('h1, h2, p, figcaption, dt, dd, li, span, th button, td, summary, code, footer')) {
    const got = ratio(getComputedStyle(element).color, behind(element));
    if (got < 4.5) found.push(element.tagName + ' ' + element.textContent.slice(0, 30) + ': ' + got.toFixed(2));
  }
  for (const text of document.querySelectorAll('svg text')) {
    const got = ratio(getComputedStyle(text).fill, behind(text));
    if (got < 4.5) found.push('plot text ' + text.textContent + ': ' + got.toFixed(2));
  }
  for (const mark of document.querySelectorAll('.legend .mark, .legend .area')) {
    const got = ratio(getComputedStyle(mark).fill, behind(mark));
    if (got < 3) found.push('colour of ' + mark.closest('li').textContent + ': ' + got.toFixed(2));
  }
  return found;
"""

HOVER = """
  const results = {};
  for (const figure of document.querySelectorAll('figure')) {
    const svg = figure.querySelector('svg.plot');
    const mark = svg.querySelector('.mark');
    if (!mark) continue;
    const box = mark.getBoundingClientRect();
    svg.dispatchEvent(new PointerEvent('pointermove', {clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true}));
    const tip = figure.querySelector('.tip');
    results[figure.id] = [tip.hidden ? null : tip.textContent, mark.dataset.y];
    svg.dispatchEvent(new PointerEvent('pointerleave'));
    if (!tip.hidden) results[figure.id] = ['stays after the pointer left', ''];
  }
  return results;
"""

SORT = """
  const table = [...document.querySelectorAll('main > section:not(.plots) table')][0];
  const head = [...table.querySelectorAll('th')].findIndex(head => head.textContent === 'Hit ratio');
  const column = () => [...table.tBodies[0].rows].map(row => Number(row.cells[head].dataset.order));
  table.querySelectorAll('th button')[head].click();
  const up = column();
  table.querySelectorAll('th button')[head].click();
  return [up, column()];
"""


class Check:
    def __init__(self):
        self.problems = []

    def that(self, good, what):
        if not good:
            self.problems.append(what)
            print("FAILED: " + what)

    def quiet(self, browser, where):
        for event in browser.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                self.that(False, "%s: the script failed: %s" % (where, json.dumps(params)[:600]))
            elif method in ("Log.entryAdded", "Runtime.consoleAPICalled"):
                self.that(False, "%s: the console says %s" % (where, json.dumps(params)[:600]))
            elif method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                self.that(url.startswith("file:"), "%s: asks a network for %s" % (where, url))

    def plots(self, plots, policies, expected, where):
        shown = [plot["id"] for plot in plots if plot["id"] != "hidden"]  # only where the policy can prefetch
        self.that(shown == expected, "%s: plots are %s" % (where, [p["id"] for p in plots]))
        for plot in plots:
            name = "%s: plot %s" % (where, plot["id"])
            self.that(plot["series"] and plot["series"] == plot["legend"], "%s: legend %s, series %s" % (name, plot["legend"], plot["series"]))
            self.that(len(set(plot["styles"])) == len(plot["styles"]), name + ": two series differ by colour alone")
            self.that(not plot["bad"], name + ": has a value that is no number")
            self.that(plot["points"] > 0, name + ": has no point")
            if plot["kind"] == "points":
                self.that(plot["rows"] == plot["points"], name + ": the table has other points")
            else:
                self.that(plot["heads"][1:] == plot["series"], "%s: the table has columns %s" % (name, plot["heads"]))
                self.that(plot["cells"] - plot["rows"] == plot["points"], name + ": the table has other points")
            if plot["id"] == "capacity":
                names = {series.split(" (")[0] for series in plot["series"]}
                self.that(names == policies | {"MIN"}, "%s: shows %s of %s" % (name, names, policies))


def known_policies(kelvin, config):
    """From the message about one that does not exist."""
    got = subprocess.run([kelvin, "sim", "x", "--config", config, "--policy", "none-of-these"], stderr=subprocess.PIPE)
    text = got.stderr.decode()
    return set(text.strip().split("nown: ")[-1].split(", "))


def make_pages(kelvin, folder):
    config, trace = os.path.join(folder, "two.toml"), os.path.join(folder, "chat.jsonl")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG % folder)

    def run(*arguments):
        got = subprocess.run([kelvin, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if got.returncode != 0:
            print(got.stdout.decode(errors="replace"))
            raise RuntimeError("kelvin %s failed" % " ".join(arguments))

    run("trace", "gen", "--kind", "chat", "--requests", "300", "--seed", "1", "--out", trace)
    run("tune", trace, "--config", config, "--vary", "policy.name=lru,heat", "--vary", "tier.dram.free_ahead=0,2%,10%",
        "--vary", "tier.nvme.write_budget=1MiB..16MiB:3:log", "--report", os.path.join(folder, "tune.html"))
    run("sim", trace, "--config", config, "--report", os.path.join(folder, "sim.html"))
    return known_policies(kelvin, config)


def check_page(browser, check, folder, name, policies, expected):
    bright = {}
    for scheme in ("light", "dark"):
        for width, height in ((1280, 900), (390, 844)):
            where = "%s, %s, %d wide" % (name, scheme, width)
            browser.open("file://" + os.path.join(folder, name + ".html"), width, height, scheme)
            plots = browser.run(PLOTS)
            check.plots(plots, policies, expected, where)
            for found in (PLACES, CONTRAST):
                for problem in browser.run(found)[:10]:
                    check.that(False, "%s: %s" % (where, problem))
            for plot, (shown, value) in browser.run(HOVER).items():
                check.that(shown is not None and value in shown, "%s: pointing at %s shows %r, not %r" % (where, plot, shown, value))
            up, down = browser.run(SORT)
            check.that(len(up) > 1 and up == sorted(up) and down == up[::-1], "%s: sorting gives %s, %s" % (where, up, down))
            browser.open("file://" + os.path.join(folder, name + ".html"), width, height, scheme)
            picture = os.path.join(folder, "%s-%s-%d.png" % (name, scheme, width))
            browser.picture(picture, whole=False)
            colours, bright[scheme] = colours_of(picture)
            check.that(colours > 50, "%s: the picture has %d colours" % (where, colours))
            check.quiet(browser, where)
            browser.picture(os.path.join(folder, "%s-%s-%d-whole.png" % (name, scheme, width)))
        print("%s, %s: looked at" % (name, scheme))
    check.that(bright["dark"] < 80 < 180 < bright["light"], "%s: brightness is %s" % (name, bright))


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    path, version = find_browser()
    if path is None:
        print("SKIPPED: no Chromium to look at report pages with (%s); on Debian: apt-get install chromium" % version)
        return SKIP
    print("%s: %s" % (path, version))
    keep = len(sys.argv) > 2
    folder = os.path.abspath(sys.argv[2]) if keep else tempfile.mkdtemp(prefix="kelvin_report_browser_test.")
    os.makedirs(folder, exist_ok=True)

    def too_late(_number, _frame):
        raise RuntimeError("the browser did not answer within %d s; see browser.log" % TIMEOUT)

    signal.signal(signal.SIGALRM, too_late)
    check = Check()
    start = time.monotonic()
    try:
        policies = make_pages(sys.argv[1], folder)
        browser = Browser(path, folder)
        try:
            check_page(browser, check, folder, "tune", policies, ["tried", "capacity", "tiers", "waits"])
            check_page(browser, check, folder, "sim", policies, ["capacity", "tiers", "waits"])
        finally:
            browser.close()
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    print("report pages: %s, %.1f s" % ("%d problems" % len(check.problems) if check.problems else "clean", time.monotonic() - start))
    return 1 if check.problems else 0


if __name__ == "__main__":
    sys.exit(main())
