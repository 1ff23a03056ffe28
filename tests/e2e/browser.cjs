// What a reader's browser makes of the site: takes pictures of each page, in light, dark and on a phone; asks axe whether it can
// be used by everyone; follows all links; searches with nothing but a keyboard. Prints one JSON document; judges nothing.
//
//   node browser.cjs TOOLS BASE PICTURES ADDRESS...
"use strict";
const path = require("path");
const { createRequire } = require("module");
const [tools, base, pictures, ...addresses] = process.argv.slice(2);
const need = createRequire(path.join(tools, "package.json"));
const { chromium } = need("playwright-core");
const axe = need.resolve("axe-core/axe.min.js");

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 740 };

const name = (address) => address.replace(/[^A-Za-z0-9.]+/g, "-").replace(/^-/, "").slice(0, 60) || "home";

// The pages forbid scripts, and these contexts do not run theirs: axe is brought in from outside.
async function judged(context, address) {
  const page = await context.newPage();
  const answer = await page.goto(base + address);
  await page.evaluate(require("fs").readFileSync(axe, "utf8"));
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const faults = found.violations.map((fault) => ({
    id: fault.id, impact: fault.impact, nodes: fault.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)),
  }));
  await page.close();
  return { status: answer.status(), faults };
}

async function pictured(context, address, form) {
  const page = await context.newPage();
  const errors = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("requestfailed", (request) => errors.push(`failed: ${request.url()}`));
  await page.goto(base + address);
  const width = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  await page.screenshot({ path: path.join(pictures, `${name(address)}-${form}.png`), fullPage: form !== "dark" });
  const links = await page.$$eval("a[href]", (all) => all.map((link) => link.href));
  await page.close();
  return { wider: width[0] - width[1], errors, links };
}

// Tab to the search field, type, Enter; then Tab to the first result and Enter.
async function searched(context, word) {
  const page = await context.newPage();
  await page.goto(base + "/");
  const focus = () => page.evaluate(() => {
    const at = document.activeElement;
    const ring = getComputedStyle(at).outlineStyle;
    return { id: at.id, tag: at.tagName, href: at.getAttribute("href"), ring, inMain: !!at.closest("main") };
  });
  const seen = [];
  const until = async (wanted) => {
    for (let step = 0; step < 40; step++) {
      await page.keyboard.press("Tab");
      const at = await focus();
      seen.push(at);
      if (wanted(at)) return at;
    }
    throw new Error(`not reached by Tab: ${JSON.stringify(seen)}`);
  };
  await page.keyboard.press("Tab");
  const first = await focus();
  await until((at) => at.id === "q");
  await page.keyboard.type(word);
  await page.keyboard.press("Enter");
  await page.waitForURL(/[?&]q=/);
  const hits = await page.$$eval(".card h3 a", (all) => all.map((link) => link.getAttribute("href")));
  const reached = await until((at) => at.inMain && at.href && at.href.startsWith("/images/"));
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/images\//);
  const url = new URL(page.url()).pathname;
  const rings = seen.filter((at) => at.tag !== "BODY").every((at) => at.ring !== "none");
  await page.close();
  return { skip: first.href, hits, reached: reached.href, url, rings };
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  const light = await browser.newContext({ viewport: DESKTOP, colorScheme: "light" });
  const dark = await browser.newContext({ viewport: DESKTOP, colorScheme: "dark" });
  const phone = await browser.newContext({ viewport: PHONE, colorScheme: "light", isMobile: true, hasTouch: true });
  const plain = await browser.newContext({ javaScriptEnabled: false, viewport: DESKTOP });
  const report = { pages: [], links: [] };
  const links = new Set();
  for (const address of addresses) {
    const shown = await pictured(light, address, "light");
    shown.links.forEach((link) => links.add(link.split("#")[0]));
    const small = await pictured(phone, address, "phone");
    await pictured(dark, address, "dark");
    const verdicts = [await judged(light, address), await judged(dark, address), await judged(phone, address)];
    const bare = await plain.newPage();
    await bare.goto(base + address);
    const text = (await bare.textContent("main")).length;
    await bare.close();
    report.pages.push({
      address, status: verdicts[0].status, faults: verdicts.flatMap((verdict) => verdict.faults), text,
      wider: { desktop: shown.wider, phone: small.wider }, errors: [...shown.errors, ...small.errors],
    });
  }
  for (const link of [...links].filter((link) => link.startsWith(base)).sort()) {
    const answer = await light.request.get(link);
    report.links.push({ address: link.slice(base.length), status: answer.status() });
  }
  report.search = await searched(light, process.env.SEARCH || "nginx");
  await browser.close();
  console.log(JSON.stringify(report));
})().catch((error) => { console.error(error.stack || error); process.exit(1); });
