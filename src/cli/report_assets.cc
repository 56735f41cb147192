// The style sheet and the script of a report page. See report_page.h.
//
// Thread contract: constants.
#include "cli/report_page.h"

namespace kelvin::cli {

// c0 .. c7 are at least 3:1 against the card in both modes; texts at least 4.5:1.
const char* const kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f4f5f7; --card: #ffffff; --ink: #18202b; --soft: #566172; --rule: #e3e7ec; --edge: #d5dbe3;
  --marked: #eaf2fe; --accent: #1f66d0;
  --c0: #1f66d0; --c1: #c4520a; --c2: #15803d; --c3: #8b3fd1; --c4: #be1e5a; --c5: #0c7489; --c6: #8a6400; --c7: #55606e;
  --cb: #18202b; --tile: rgb(255 255 255 / 55%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10141a; --card: #181e26; --ink: #e7ecf3; --soft: #9dabbc; --rule: #28313d; --edge: #303a48;
    --marked: #1c2c44; --accent: #7db1ff;
    --c0: #6ea8ff; --c1: #ff9a4d; --c2: #4fcf87; --c3: #c79bff; --c4: #ff7fac; --c5: #4bc8e0; --c6: #e2bd4a; --c7: #a9b4c2;
    --cb: #e7ecf3; --tile: rgb(16 20 26 / 45%);
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
header, main, footer { max-width: 1240px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 36px; }
h1 { margin: 0 0 8px; font-size: 28px; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 0; font-size: 16px; line-height: 1.35; }
.source { display: flex; flex-wrap: wrap; gap: 2px 24px; margin: 0; color: var(--soft); overflow-wrap: anywhere; }
.source div { display: flex; gap: 8px; }
.source dd { margin: 0; color: var(--ink); }
.headlines { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 24px 0 0; padding: 0; list-style: none; }
.headlines li { display: flex; flex-direction: column; padding: 14px 16px; background: var(--card); border: 1px solid var(--edge); border-radius: 10px; }
.headlines .name { color: var(--soft); font-size: 13px; }
.headlines .value { font-size: 24px; font-weight: 650; line-height: 1.35; font-variant-numeric: tabular-nums; }
.headlines .beside { color: var(--soft); font-size: 13px; min-height: 1.5em; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 500px), 1fr)); gap: 16px; margin: 16px 0; }
.card { min-width: 0; margin: 0 0 16px; padding: 18px 20px; background: var(--card); border: 1px solid var(--edge); border-radius: 10px; }
.plots .card { display: flex; flex-direction: column; margin: 0; }
.card p, figcaption { margin: 2px 0 10px; color: var(--soft); font-size: 13.5px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 0 0 6px; padding: 0; list-style: none; font-size: 13px; }
.legend li { display: flex; align-items: center; gap: 6px; }
.stage { position: relative; margin-top: auto; }
svg.plot { display: block; width: 100%; height: auto; touch-action: pan-y; outline-offset: 4px; }
svg text { fill: var(--soft); font-size: 12.5px; font-variant-numeric: tabular-nums; }
svg .label { fill: var(--ink); }
.grid { stroke: var(--rule); }
.axis { stroke: var(--soft); }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: butt; }
.strong .line { stroke-width: 3; }
.mark { stroke: var(--card); stroke-width: 1; }
.mark.unseen { opacity: 0; }
.mark.near { stroke: var(--ink); stroke-width: 1.6; opacity: 1; }
.area { stroke: var(--card); stroke-width: 0.6; }
.tile path { fill: none; stroke: var(--tile); stroke-width: 1.6; }
.tile circle { fill: var(--tile); }
.cross { stroke: var(--soft); stroke-dasharray: 2 3; visibility: hidden; }
.cross.on { visibility: visible; }
line.c0, polyline.c0 { stroke: var(--c0); } path.c0, .area.c0 { fill: var(--c0); }
line.c1, polyline.c1 { stroke: var(--c1); } path.c1, .area.c1 { fill: var(--c1); }
line.c2, polyline.c2 { stroke: var(--c2); } path.c2, .area.c2 { fill: var(--c2); }
line.c3, polyline.c3 { stroke: var(--c3); } path.c3, .area.c3 { fill: var(--c3); }
line.c4, polyline.c4 { stroke: var(--c4); } path.c4, .area.c4 { fill: var(--c4); }
line.c5, polyline.c5 { stroke: var(--c5); } path.c5, .area.c5 { fill: var(--c5); }
line.c6, polyline.c6 { stroke: var(--c6); } path.c6, .area.c6 { fill: var(--c6); }
line.c7, polyline.c7 { stroke: var(--c7); } path.c7, .area.c7 { fill: var(--c7); }
line.cb, polyline.cb { stroke: var(--cb); } path.cb, .area.cb { fill: var(--cb); }
.tip {
  position: absolute; z-index: 1; max-width: 280px; padding: 8px 10px; pointer-events: none;
  background: var(--card); color: var(--ink); border: 1px solid var(--edge); border-radius: 8px;
  box-shadow: 0 4px 16px rgb(0 0 0 / 22%); font-size: 13px; line-height: 1.45; font-variant-numeric: tabular-nums;
}
.tip b { display: block; }
.tip div { display: flex; justify-content: space-between; gap: 16px; }
details { margin-top: 8px; font-size: 13.5px; }
summary { color: var(--accent); cursor: pointer; width: fit-content; }
.scroll { max-height: 460px; margin-top: 8px; overflow: auto; border: 1px solid var(--rule); border-radius: 8px; }
table { width: 100%; border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--rule); }
td.number { text-align: right; }
th { position: sticky; top: 0; padding: 0; background: var(--card); white-space: normal; vertical-align: bottom; }
th button { width: 100%; min-width: 84px; padding: 7px 12px; font: inherit; font-weight: 650; color: inherit; text-align: left; background: none; border: 0; cursor: pointer; }
th[aria-sort=ascending] button::after { content: " \2191"; }
th[aria-sort=descending] button::after { content: " \2193"; }
tr.marked td { background: var(--marked); }
pre { max-height: 460px; margin: 8px 0 0; padding: 12px; overflow: auto; font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; border: 1px solid var(--rule); border-radius: 8px; }
footer { padding-bottom: 32px; color: var(--soft); font-size: 13px; }
@media (max-width: 640px) {
  header, main, footer { padding-left: 12px; padding-right: 12px; }
  .card { padding: 14px 12px; }
  svg text { font-size: 17px; }
}
@media print { .tip, details:not([open]) { display: none; } .card { break-inside: avoid; } }
)css";

const char* const kReportScript = R"js(
'use strict';
for (const figure of document.querySelectorAll('figure')) {
  const svg = figure.querySelector('svg.plot');
  const tip = figure.querySelector('.tip');
  const cross = svg.querySelector('.cross');
  const alone = figure.dataset.kind === 'points';
  const names = [...svg.querySelectorAll('.series')].map(group => group.dataset.name);
  const marks = [...svg.querySelectorAll('.mark')].map(mark => {
    const [x, y] = mark.dataset.at.split(',').map(Number);
    return {mark, x, y};
  });
  const stops = [...new Set(marks.map(point => point.x))].sort((a, b) => a - b);
  let shown = [];
  let stop = -1;

  const hide = () => {
    for (const {mark} of shown) mark.classList.remove('near');
    shown = [];
    tip.hidden = true;
    cross.classList.remove('on');
  };
  const row = (name, value) => {
    const line = document.createElement('div');
    for (const text of [name, value]) line.append(Object.assign(document.createElement('span'), {textContent: text}));
    return line;
  };
  const show = points => {
    hide();
    if (points.length === 0) return;
    shown = points;
    const first = points[0];
    for (const {mark} of points) mark.classList.add('near');
    const title = document.createElement('b');
    title.textContent = alone ? names[first.mark.dataset.series] : first.mark.dataset.x;
    tip.replaceChildren(title);
    if (alone) {
      tip.append(row(first.mark.dataset.y, first.mark.dataset.x));
      for (const note of first.mark.dataset.note.split('\n')) {
        if (note) tip.append(Object.assign(document.createElement('div'), {textContent: note}));
      }
    } else {
      for (const {mark} of points) tip.append(row(names[mark.dataset.series], mark.dataset.y));
      cross.setAttribute('x1', first.x);
      cross.setAttribute('x2', first.x);
      cross.classList.add('on');
    }
    tip.hidden = false;
    const scale = svg.clientWidth / svg.viewBox.baseVal.width;
    const right = first.x * scale + 14;
    const fits = right + tip.offsetWidth < svg.clientWidth;
    tip.style.left = Math.max(0, fits ? right : first.x * scale - 14 - tip.offsetWidth) + 'px';
    tip.style.top = Math.max(0, Math.min(first.y * scale - 20, svg.clientHeight - tip.offsetHeight)) + 'px';
  };
  const at = x => marks.filter(point => point.x === x).sort((a, b) => a.y - b.y);
  const nearest = (list, distance) => list.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  svg.addEventListener('pointermove', event => {
    if (marks.length === 0) return;
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale;
    const y = (event.clientY - box.top) * scale;
    if (alone) {
      const point = nearest(marks, p => Math.hypot(p.x - x, p.y - y));
      show(Math.hypot(point.x - x, point.y - y) < 40 ? [point] : []);
    } else {
      show(at(nearest(stops, s => Math.abs(s - x))));
    }
  });
  svg.addEventListener('pointerleave', hide);
  svg.addEventListener('blur', hide);
  svg.setAttribute('tabindex', '0');
  svg.addEventListener('keydown', event => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!step || stops.length === 0) return;
    event.preventDefault();
    stop = Math.max(0, Math.min(stops.length - 1, stop + step));
    const points = at(stops[stop]);
    show(alone ? points.slice(0, 1) : points);
  });
}
for (const button of document.querySelectorAll('th button')) {
  button.addEventListener('click', () => {
    const head = button.parentElement;
    const column = [...head.parentElement.children].indexOf(head);
    const body = head.closest('table').tBodies[0];
    const down = head.getAttribute('aria-sort') === 'ascending';
    for (const other of head.parentElement.children) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const key = line => line.cells[column].dataset.order ?? line.cells[column].textContent;
    const compare = (a, b) => {
      const numbers = [Number(key(a)), Number(key(b))];
      return numbers.some(Number.isNaN) ? key(a).localeCompare(key(b)) : numbers[0] - numbers[1];
    };
    const lines = [...body.rows].sort(compare);
    body.append(...(down ? lines.reverse() : lines));
  });
}
)js";

}  // namespace kelvin::cli
