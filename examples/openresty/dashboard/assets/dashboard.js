// Makes a page live and draws its charts. Every page works without this file, except for the charts.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const seconds = Number(document.body.dataset.seconds);
  const patience = 20000; // milliseconds for a response
  const height = 190; // pixels of a chart
  const slowest = 60; // seconds between two attempts while updates fail

  async function request(address) {
    const response = await fetch(address, { signal: AbortSignal.timeout(patience) });
    const value = await response.json();
    if (value.problem) throw new Error(value.problem);
    return value;
  }

  // ---- parts: the server sends their markup, escaped ----

  const rowsOf = (parent) => new Map([...parent.children].map((row) => [row.dataset.key, row]));

  // Replaces only the rows that changed, and keeps the focus in its row. Returns their number.
  function patchRows(place, fresh) {
    const old = rowsOf(place);
    const focused = place.contains(document.activeElement) && document.activeElement.closest("tr").dataset.key;
    let changed = 0;
    const rows = [...fresh.children].map((row) => {
      const known = old.get(row.dataset.key);
      if (known) known.classList.remove("fresh");
      if (!known?.className) known?.removeAttribute("class");
      if (known?.outerHTML === row.outerHTML) return known;
      changed += 1;
      row.classList.add("fresh");
      return row;
    });
    if (changed === 0 && rows.length === place.children.length) return 0;
    place.replaceChildren(...rows);
    if (focused) rowsOf(place).get(focused)?.querySelector("a")?.focus({ preventScroll: true });
    return Math.max(changed, 1);
  }

  // Returns true if the part changed.
  function patch(id, markup) {
    const place = byId(id);
    if (!place) return false;
    const fresh = place.cloneNode(false);
    fresh.innerHTML = markup;
    if (id === "rows") return patchRows(place, fresh) > 0;
    if (fresh.innerHTML === place.innerHTML) return false;
    if (place.contains(document.activeElement)) return false; // the next update replaces it
    place.innerHTML = markup;
    return true;
  }

  // ---- charts ----

  const charts = byId("charts");
  let columns = null;
  let plots = [];

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const durationText = (value) =>
    value < 60 ? `${Math.round(value)} s`
      : value < 3600 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;

  // Seconds, minutes and hours between two marks of the axis of durations.
  const increments = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

  // Returns the labels of the axis of time, in UTC: days, or times of day with the day at midnight.
  const timeLabels = (splits, increment) => splits.map((time) => {
    const text = new Date(time * 1000).toISOString();
    return increment >= 86400 || text.slice(11, 16) === "00:00" ? text.slice(5, 10) : text.slice(11, 16);
  });

  // Returns a time in UTC, without its seconds.
  const minute = (time) => new Date(time * 1000).toISOString().slice(0, 16).replace("T", " ");

  function plot(place, series, text, range, incrs) {
    const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const options = {
      width: place.clientWidth, height,
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
      cursor: { y: false, points: { size: 8 } },
      scales: { y: { range } },
      padding: [10, 12, 0, 0],
      axes: [
        { ...axis, space: 60, size: 32, values: (_, splits, index, space, increment) => timeLabels(splits, increment) },
        { ...axis, size: 54, space: 25, incrs, values: (_, values) => values.map(text) },
      ],
      series: [{ label: "Created", value: (_, time) => time === null ? "–" : minute(time) }, ...series],
    };
    const drawn = new uPlot(options, [columns.time, ...series.map((one) => columns[one.name])], place);
    drawn.over.addEventListener("click", () => {
      const id = columns.id[drawn.cursor.idx];
      if (id) location.assign("/runs/" + encodeURIComponent(id));
    });
    return drawn;
  }

  // Returns the range of scores, in whole tenths.
  const tenths = (_, low, high) => low === null ? [0, 1]
    : [Math.max(0, Math.floor(low * 10) / 10), Math.min(1, Math.ceil(high * 10) / 10)];

  function draw() {
    for (const drawn of plots) drawn.destroy();
    plots = [];
    if (!columns || columns.time.length === 0) return;
    const dots = (name, label, text) => ({ name, label, stroke: color("--dot"), paths: () => null,
      points: { show: true, size: 5, fill: color("--dot"), width: 0 },
      value: (_, value) => value === null ? "–" : text(value) });
    const score = (value) => value.toFixed(3);
    plots = [
      plot(byId("score-plot"), [dots("score", "Score", score), { name: "trend", label: "Mean of 10",
        stroke: color("--accent"), width: 2, spanGaps: true, points: { show: false },
        value: (_, value) => value === null ? "–" : score(value) }],
      (value) => value.toFixed(2), tenths),
      plot(byId("duration-plot"), [{ ...dots("duration", "Duration", durationText),
        paths: uPlot.paths.bars({ size: [0.6, 12, 3] }), fill: color("--dot"), points: { show: false } }],
      durationText, (_, low, high) => [0, high || 1], increments),
    ];
  }

  async function loadCharts() {
    if (!charts) return;
    const data = await request(charts.dataset.chart);
    const list = (value) => Array.isArray(value) ? value : [];
    const known = list(data.created).map((stamp) => Date.parse(stamp) / 1000);
    const keep = known.map((time, index) => index).filter((index) => !Number.isNaN(known[index]));
    keep.sort((a, b) => known[a] - known[b]);
    const pick = (values) => keep.map((index) => values[index]);
    columns = { time: pick(known) };
    for (const name of ["id", "score", "trend", "duration"]) columns[name] = pick(list(data[name]));
    byId("score-text").textContent = data.score_text;
    byId("duration-text").textContent = data.duration_text;
    charts.hidden = columns.time.length === 0;
    draw();
    charts.dataset.drawn = String(columns.time.length);
  }

  // ---- updates, only while the page is visible ----

  const live = document.body.dataset.live;
  let timer = null;
  let failures = 0;
  let paused = false;
  let busy = false;

  function say(state, text) {
    if (paused && state !== "paused") return; // an update can end after the pause began
    byId("live").dataset.state = state;
    if (byId("live-text").textContent !== text) byId("live-text").textContent = text;
  }

  const announce = (text) => { byId("announcement").textContent = text; };

  function failed(error) {
    failures += 1;
    const again = Math.min(slowest, seconds * 2 ** failures);
    say("failed", `Not up to date. Next attempt in ${Math.round(again)} s`);
    if (failures === 1) announce(`The updates failed. ${error.message}`);
    byId("live").title = error.message;
    return again;
  }

  function applied(parts) {
    const changed = Object.keys(parts).filter((id) => patch(id, parts[id]));
    if (failures > 0) announce("The page is up to date again.");
    else if (changed.includes("rows")) announce("The table has changed.");
    failures = 0;
    byId("live").title = "";
    say("live", "Live");
    return changed.includes("rows");
  }

  async function update() {
    if (busy) return;
    busy = true;
    let next = seconds;
    try {
      if (applied((await request(live)).parts)) await loadCharts();
    } catch (error) {
      next = failed(error);
    }
    busy = false;
    schedule(next);
  }

  function schedule(delay) {
    clearTimeout(timer);
    timer = null;
    if (!paused && !document.hidden) timer = setTimeout(update, delay * 1000);
  }

  if (live) {
    byId("live").hidden = false;
    byId("pause").addEventListener("click", (event) => {
      paused = !paused;
      event.target.setAttribute("aria-pressed", String(paused));
      say(paused ? "paused" : "live", paused ? "Paused" : "Live");
      schedule(0);
    });
    document.addEventListener("visibilitychange", () => schedule(0));
    schedule(seconds);
  }

  loadCharts().catch((error) => announce(`The charts cannot be drawn. ${error.message}`));
  if (charts) {
    new ResizeObserver(() => {
      for (const drawn of plots) {
        const width = drawn.root.parentNode.clientWidth;
        if (width > 0 && width !== drawn.width) drawn.setSize({ width, height });
      }
    }).observe(charts);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  // Keeps fields that are empty out of the address.
  document.querySelector(".filters")?.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
})();
