// Drives dashboards in headless Chromium. Prints a line of JSON for each check: { name, problem }.
// Usage: node browser.mjs FACTS      FACTS: JSON with modules, chromium, key, api, pictures (a directory) and the URLs
// of the dashboards by name
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";

const facts = JSON.parse(process.argv[2]);
const require = createRequire(facts.modules + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: facts.chromium, args: flags });

const desktop = { width: 1200, height: 1000 };
const phone = { width: 375, height: 812 };

// Opens a page. What its console says, and what fails in it, is in `complaints`.
async function open(address, options = {}) {
  const context = await browser.newContext({ viewport: desktop, locale: "en-GB", ...options });
  context.setDefaultTimeout(30000);
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.complaints.push(message.text());
  });
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(facts.runs.slice(0, 17))) page.complaints.push("requests " + request.url());
  });
  await page.goto(address);
  return page;
}

const keys = (page) => page.$$eval("#rows tr", (rows) => rows.map((row) => row.dataset.key));
const drawn = (page) => page.waitForSelector("#charts[data-drawn]");
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

// Returns the number of different colours in the chart of an element.
const colours = (page, id) => page.$eval(`#${id} canvas`, (canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
});

async function audit(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`), []);
}

async function createRun() {
  const response = await fetch(facts.api + "/v1/workflows/experiments/runs", { method: "POST",
    headers: { "Api-Key": facts.key, "Content-Type": "application/json" }, body: '{"experiment_id":"exp_0"}' });
  return (await response.json()).id;
}

const checks = {
  "applies filters, keeps them in the address, and clears them": async () => {
    const page = await open(facts.runs);
    await page.getByLabel("Experiment").fill("exp_0");
    await page.getByLabel("Status", { exact: true }).selectOption("completed");
    await page.getByRole("button", { name: "Apply filters" }).click();
    assert.equal(new URL(page.url()).search, "?experiment_id=exp_0&status=completed");
    assert.equal(await page.getByLabel("Experiment").inputValue(), "exp_0");
    const under = await page.$$eval("#rows .under", (all) => all.map((one) => one.textContent));
    assert.ok(under.length > 5 && under.every((text) => text.startsWith("exp_0 ")));
    await page.getByRole("link", { name: "Clear" }).click();
    assert.equal(new URL(page.url()).search, "");
    return page;
  },
  "leads to the next page and back": async () => {
    const page = await open(facts.runs + "?limit=20&exclude_status=pending");
    const first = await keys(page);
    await page.getByRole("link", { name: "Next" }).click();
    await page.waitForURL(/after=/);
    const second = await keys(page);
    assert.equal(second.length, 20);
    assert.ok(second.every((key) => !first.includes(key)));
    await page.getByRole("link", { name: "Previous" }).click();
    await page.waitForURL(/before=/);
    assert.deepEqual(await keys(page), first);
    return page;
  },
  "draws the charts, and says in words what they show": async () => {
    const page = await open(facts.runs);
    await drawn(page);
    assert.ok(await colours(page, "score-plot") > 10);
    assert.ok(await colours(page, "duration-plot") > 10);
    assert.match(await page.textContent("#score-text"), /^Latest 0\.\d+, median/);
    return page;
  },
  "works without JavaScript, except for the charts": async () => {
    const page = await open(facts.runs, { javaScriptEnabled: false });
    await page.getByLabel("Status", { exact: true }).selectOption("error");
    await page.getByRole("button", { name: "Apply filters" }).click();
    assert.match(page.url(), /status=error/);
    assert.ok((await page.locator("#rows tr").count()) > 0);
    await page.locator("#rows a").first().click();
    assert.match(page.url(), /\/runs\/exprun_/);
    return page;
  },
  "shows a run that was created meanwhile, says so, and keeps the focus": async () => {
    const page = await open(facts.changing);
    await drawn(page);
    const kept = (await keys(page))[0];
    await page.locator(`[data-key="${kept}"] a`).focus();
    const created = await createRun();
    await page.waitForSelector(`[data-key="${created}"]`);
    assert.equal((await keys(page))[0], created);
    assert.equal(await page.evaluate(() => document.activeElement.closest("tr").dataset.key), kept);
    await page.waitForFunction(() => document.getElementById("announcement").textContent === "The table has changed.");
    return page;
  },
  "shows how a run that is watched in the background ends": async () => {
    const created = await createRun();
    const page = await open(facts.changing + "runs/" + created);
    await page.getByRole("button", { name: "Watch in the background" }).click();
    await page.getByText("ended with the score 0.910").waitFor();
    await page.waitForSelector("#facts .completed");
    await page.getByRole("heading", { name: "Scores by target" }).waitFor();
    return page;
  },
  "stops its updates when asked, and goes on": async () => {
    const page = await open(facts.runs);
    await drawn(page);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("Paused").waitFor();
    let updates = 0;
    page.on("request", (request) => { if (request.url().includes("/live")) updates += 1; });
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1000)));
    assert.equal(updates, 0);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.waitForResponse(/\/live/);
    return page;
  },
  "requests nothing while it is hidden": async () => {
    const page = await open(facts.runs);
    await drawn(page);
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => globalThis.isHidden });
      globalThis.isHidden = true;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 500))); // an update can be under way
    let updates = 0;
    page.on("request", (request) => { if (request.url().includes("/live")) updates += 1; });
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1000)));
    assert.equal(updates, 0);
    await page.evaluate(() => {
      globalThis.isHidden = false;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.waitForResponse(/\/live/);
    return page;
  },
  "keeps what it shows while updates fail, says so, and recovers": async () => {
    const page = await open(facts.runs);
    await drawn(page);
    const failure = { status: 502, json: { problem: "Retab cannot be reached." } };
    await page.route("**/live", (route) => route.fulfill(failure));
    await page.getByText(/^Not up to date\./).waitFor();
    assert.match(await page.textContent("#announcement"), /Retab cannot be reached\./);
    assert.equal((await keys(page)).length, 20);
    await page.unroute("**/live");
    await page.getByText("Live", { exact: true }).waitFor();
    page.complaints = page.complaints.filter((text) => !text.includes("502"));
    return page;
  },
  "can be used with the keyboard alone": async () => {
    const page = await open(facts.runs);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    const seen = [];
    for (let step = 0; step < 40; step += 1) {
      await page.keyboard.press("Tab");
      const [name, outline] = await page.evaluate(() => {
        const element = document.activeElement;
        return [element.name || element.textContent.trim(), getComputedStyle(element).outlineStyle];
      });
      assert.notEqual(outline, "none", `the focus on ${name} is invisible`);
      seen.push(name);
      if (name.startsWith("exprun_")) break;
    }
    for (const name of ["experiment_id", "workflow_id", "status", "from_date", "More filters", "Apply filters"]) {
      assert.ok(seen.includes(name), `Tab does not reach ${name}`);
    }
    const run = seen.at(-1);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: run }).waitFor();
    return page;
  },
  "has no problem that axe finds, in light and in dark colours": async () => {
    let page;
    for (const colorScheme of ["light", "dark"]) {
      page = await open(facts.runs + "?limit=10", { colorScheme, reducedMotion: "reduce" });
      await drawn(page);
      await audit(page);
    }
    await page.goto(facts.runs + "?status=completed");
    await page.goto(facts.runs + "runs/" + (await keys(page))[0]);
    await audit(page);
    return page;
  },
  "fits a phone": async () => {
    const page = await open(facts.runs, { viewport: phone });
    await drawn(page);
    assert.equal(await overflow(page), 0);
    await page.locator("details summary").click();
    assert.equal(await overflow(page), 0);
    const heights = await page.$$eval("#rows .slim", (all) => all.map((one) => one.clientHeight));
    assert.equal(new Set(heights).size, 1, "a status and its date take two lines");
    await page.locator(".list").scrollIntoViewIfNeeded();
    await page.screenshot({ path: facts.pictures + "/phone.png" });
    await page.goto(facts.runs + "?status=completed");
    await page.locator("#rows a").first().click();
    await page.waitForURL(/runs\/exprun_/);
    assert.equal(await overflow(page), 0);
    await page.screenshot({ path: facts.pictures + "/phone-run.png" });
    return page;
  },
  "shows hostile text as text": async () => {
    const page = await open(facts.hostile);
    await page.waitForSelector("#charts[data-drawn]", { state: "attached" });
    assert.equal(await page.locator("#rows script, #rows img").count(), 0);
    assert.match(await page.textContent("#rows"), /<script>/);
    assert.equal(await page.evaluate(() => globalThis.broken), undefined);
    return page;
  },
  "says what is wrong, accessibly and on a phone": async () => {
    let page;
    for (const [address, title, status] of [
      [facts.no_key, "The dashboard has no working configuration", 500],
      [facts.refused, "Retab does not accept the API key", 502],
      [facts.down, "Retab cannot be reached", 502],
      [facts.runs + "?status=bogus", "A filter cannot be used", 400],
      [facts.empty, "No runs match.", 200],
    ]) {
      page = await open(address, { viewport: phone });
      await page.getByText(title).waitFor();
      if (address === facts.down || status === 400) await audit(page);
      assert.equal(await overflow(page), 0);
      page.complaints = page.complaints.filter((text) => !text.includes(`status of ${status}`));
      assert.deepEqual(page.complaints, []);
    }
    return page;
  },
  "makes its picture": async () => {
    const page = await open(facts.runs + "?experiment_id=exp_0");
    await drawn(page);
    await page.mouse.move(430, 400);
    await page.screenshot({ path: facts.pictures + "/dashboard.png" });
    return page;
  },
};

async function run([name, check]) {
  let problem = null;
  try {
    const page = await check();
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  } catch (error) {
    problem = String(error.stack);
  }
  console.log(JSON.stringify({ name, problem }));
}

// Some checks wait most of their time, so several run at once.
const queue = Object.entries(checks);
const workers = Array.from({ length: 4 }, async () => {
  while (queue.length > 0) await run(queue.shift());
});
await Promise.all(workers);
await browser.close();
