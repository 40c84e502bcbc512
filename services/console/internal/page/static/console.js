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

  // As the server writes them: two digits where one would hide whether there is any.
  const share = (v) => {
    const edge = v > 0 && v < 0.01 || v > 0.99 && v < 1;
    if (v > 0 && v < 0.00005) return "<\u00a00.01\u00a0%";
    if (v > 0.99995 && v < 1) return ">\u00a099.99\u00a0%";
    return (v * 100).toFixed(edge ? 2 : 1) + "\u00a0%";
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const draw = (figure) => {
    const table = figure.querySelector("table.numbers");
    const box = figure.querySelector(".drawing");
    if (!table || !box || !window.uPlot) return;
    const { data, names } = read(table);
    if (data[0].length < 2) return;
    const percent = figure.dataset.percent;
    // Numbers are written as the table has them, whatever the viewer's language.
    const text = (v) => (v == null ? "–" : percent ? share(v) : v.toLocaleString("en"));
    // The scale has as many digits as its steps need.
    const digits = (step) => Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    const scale = (v, step) => (percent ? (v * 100).toFixed(digits(step * 100)) + "\u00a0%" : v.toLocaleString("en", { maximumFractionDigits: digits(step) }));
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
    // The scale is as wide as its longest number.
    const room = (plot, texts) => {
      if (!texts) return 40;
      plot.ctx.save();
      plot.ctx.font = plot.axes[1].font[0];
      const widest = Math.max(...texts.map((one) => plot.ctx.measureText(one).width));
      plot.ctx.restore();
      return Math.ceil(widest / devicePixelRatio) + 18;
    };
    // Incidents are lines from top to bottom; one of the running step is at its end.
    const marks = [...figure.querySelectorAll(".marks time")].map((t) => Date.parse(t.dateTime) / 1000).filter((at) => at >= data[0][0]);
    const flags = (plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.strokeStyle = colour("--bad");
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
      figure.flags = marks.map((at) => Math.round(plot.valToPos(Math.min(at, data[0].at(-1)), "x", true)));
      for (const x of figure.flags) {
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      }
      ctx.restore();
    };
    const size = () => ({ width: Math.max(200, Math.floor(figure.clientWidth - 36)), height: 240 });
    if (figure.uplot) figure.uplot.destroy();
    box.textContent = "";
    const plot = new uPlot({ ...size(), series: [{ label: "at", value: (_, v) => (v == null ? "–" : zone.format(new Date(v * 1000))) }, ...series], hooks: { draw: [flags] }, axes: [{ ...axis, space: (plot) => (plot.width < 480 ? 64 : 90), incrs: [60, 120, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 2419200], values: (_, at, __, ___, step) => at.map((one) => moment(one, step)) }, { ...axis, size: room, values: (_, vs, __, ___, step) => vs.map((v) => scale(v, step)) }],
      scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } }, padding: [10, 30, 0, 0], cursor: { drag: { x: true, y: false } } }, data, box);
    figure.uplot = plot;
    new ResizeObserver(() => plot.setSize(size())).observe(figure);
  };

  const all = (root) => {
    times(root);
    for (const f of root.querySelectorAll("figure[data-plot]")) draw(f);
  };
  all(document);
  const place = document.querySelector("[data-zone]");
  if (place) place.textContent = zone.resolvedOptions().timeZone;
  // On a narrow screen the menu scrolls: the entry of this page is in view.
  const menu = document.querySelector(".side nav"), here = menu?.querySelector("[aria-current]");
  if (here) menu.scrollLeft = here.offsetLeft - (menu.clientWidth - here.offsetWidth) / 2;
  // A page that nobody sees asks for nothing. (A filter in hx-trigger would need eval,
  // which the policy forbids.)
  document.addEventListener("htmx:before:request", (e) => {
    if (document.hidden && e.target.closest?.("[data-refresh]")) e.preventDefault();
  });
  // An answer that is not the page, such as that of a proxy or the form to sign in, does not
  // come in its place; the page says that it is of then, until it can be renewed.
  const stale = (is) => { document.getElementById("stale").hidden = !is; };
  document.addEventListener("htmx:after:request", (e) => {
    const { response, text } = e.detail.ctx, is = response.status !== 200 || !text.includes(' id="live"');
    if (is) e.preventDefault();
    stale(is);
  });
  document.addEventListener("htmx:error", () => stale(true));
  document.addEventListener("htmx:after:swap", () => times(document));
  for (const look of ["(prefers-color-scheme: dark)", "print"]) matchMedia(look).addEventListener("change", () => all(document));
})();
