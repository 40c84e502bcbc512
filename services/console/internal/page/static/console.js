// What the pages gain with JavaScript: times in the viewer's zone, and plots that say
// the value under the pointer. Everything is read from the page itself.
(() => {
  "use strict";
  const moments = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
  const zone = new Intl.DateTimeFormat(undefined, moments);
  const onPaper = new Intl.DateTimeFormat(undefined, { ...moments, timeZoneName: "short" }); // nothing to hover there

  const dayOnly = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
  const hourOnly = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

  const times = (root) => {
    const as = matchMedia("print").matches ? onPaper : zone;
    for (const t of root.querySelectorAll("time[datetime]")) t.textContent = as.format(new Date(t.dateTime));
  };

  // A plot is drawn from the table below it, so both say the same.
  const read = (table) => {
    const rows = [...table.tBodies[0].rows];
    const columns = table.tHead.rows[0].cells.length - 2;
    const data = [rows.map((r) => Date.parse(r.querySelector("time").dateTime) / 1000)];
    for (let i = 1; i <= columns; i++) data.push(rows.map((r) => ("v" in r.cells[i].dataset ? Number(r.cells[i].dataset.v) : null)));
    return { data, names: [...table.tHead.rows[0].cells].slice(1, -1).map((c) => c.textContent) };
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const draw = (figure) => {
    const table = figure.querySelector("table.numbers");
    const box = figure.querySelector(".drawing");
    if (!table || !box || !window.uPlot) return;
    const { data, names } = read(table);
    if (data[0].length < 2) return;
    const percent = figure.dataset.percent;
    const text = (v) => (v == null ? "–" : percent ? (v * 100).toFixed(1) + "\u00a0%" : v.toLocaleString());
    const dash = [undefined, [6, 5], [2, 4]];
    const series = names.map((name, i) => ({ label: name, stroke: colour("--s" + (i + 1)), width: 2, dash: dash[i], spanGaps: true, value: (_, v) => text(v), points: { show: data[i + 1].filter((v) => v != null).length < 40, size: 5 } }));
    const limit = Number(figure.dataset.threshold);
    if (limit) {
      data.push(data[0].map(() => limit));
      series.push({ label: "threshold", stroke: colour("--limit"), width: 1.5, value: (_, v) => text(v), points: { show: false } });
    }
    // The axis of time in the viewer's zone and language: the day at its beginning, else the hour.
    const moment = (at, step) => {
      const date = new Date(at * 1000);
      return step >= 86400 || (date.getHours() === 0 && date.getMinutes() === 0) ? dayOnly.format(date) : hourOnly.format(date);
    };
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const size = () => ({ width: Math.max(200, Math.floor(figure.clientWidth - 36)), height: 240 });
    if (figure.uplot) figure.uplot.destroy();
    box.textContent = "";
    const plot = new uPlot({ ...size(), series: [{ label: "at", value: (_, v) => (v == null ? "–" : zone.format(new Date(v * 1000))) }, ...series], axes: [{ ...axis, space: 90, incrs: [60, 120, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 2419200], values: (_, at, __, ___, step) => at.map((one) => moment(one, step)) }, { ...axis, size: 58, values: (_, vs) => vs.map(text) }],
      scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } }, padding: [10, 30, 0, 0], cursor: { drag: { x: true, y: false } } }, data, box);
    figure.uplot = plot;
    new ResizeObserver(() => plot.setSize(size())).observe(figure);
  };

  const all = (root) => {
    times(root);
    for (const f of root.querySelectorAll("figure[data-plot]")) draw(f);
  };
  all(document);
  // On a narrow screen the menu scrolls: the entry of this page is in view.
  const menu = document.querySelector(".side nav"), here = menu?.querySelector("[aria-current]");
  if (here) menu.scrollLeft = here.offsetLeft - (menu.clientWidth - here.offsetWidth) / 2;
  // A page that nobody sees asks for nothing. (A filter in hx-trigger would need eval,
  // which the policy forbids.)
  document.addEventListener("htmx:before:request", (e) => {
    if (document.hidden && e.target.closest?.("[data-refresh]")) e.preventDefault();
  });
  document.addEventListener("htmx:after:swap", () => times(document));
  for (const look of ["(prefers-color-scheme: dark)", "print"]) matchMedia(look).addEventListener("change", () => all(document));
})();
