// The public page in a real browser: nothing is fetched, nothing runs, nothing breaks its policy, WCAG 2.2 AA
// holds in light and dark on a desk and on a telephone, nothing scrolls sideways, the HTML is valid, the feeds
// parse.
//
//   node status_page_test.mjs --samples PROGRAM --modules DIR --out DIR [--chromium PROGRAM]
//
// Screenshots of every state stay in --out.
import {execFileSync} from "node:child_process";
import {mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from "node:fs";
import {createServer} from "node:http";
import {createRequire} from "node:module";
import {join, resolve} from "node:path";
import {parseArgs} from "node:util";

const {values: args} = parseArgs({options: {
  samples: {type: "string"}, modules: {type: "string"}, out: {type: "string"},
  chromium: {type: "string", default: "/usr/bin/chromium"},
}});
const require = createRequire(join(resolve(args.modules), "package.json"));
const {chromium} = require("playwright-core");
const {HtmlValidate} = require("html-validate");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const SIZES = {desk: {width: 1280, height: 900}, phone: {width: 390, height: 844}};
const SCHEMES = ["light", "dark"];
const BYTES_MAX = 50_000;
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// The states whose names and texts are as long as a person would make them.
const ORDINARY = ["good", "outage", "many", "stale", "published", "silent", "fixed-only", "empty"];

let checks = 0;
const faults = [];
function check(good, what) {
  ++checks;
  if (!good) faults.push(what);
}

// --- the files ---

const samples = join(resolve(args.out), "samples");
const shots = join(resolve(args.out), "screenshots");
for (const directory of [samples, shots]) {
  rmSync(directory, {recursive: true, force: true});
  mkdirSync(directory, {recursive: true});
}
execFileSync(args.samples, [samples], {stdio: "inherit"});
const states = readdirSync(samples).filter((name) => statSync(join(samples, name)).isDirectory());
const policy = readFileSync(join(samples, "policy"), "utf8");
check(ORDINARY.every((state) => states.includes(state)), `the states are ${states}`);

const read = (state, file) => readFileSync(join(samples, state, file), "utf8");

const validator = new HtmlValidate({
  root: true,
  extends: ["html-validate:standard", "html-validate:document"],
});
check(!(await validator.validateString("<!DOCTYPE html><html lang=en><p><div></p>")).valid,
      "the validator takes everything");
for (const state of states) {
  const html = read(state, "index.html");
  const report = await validator.validateString(html);
  for (const result of report.results) {
    for (const message of result.messages) {
      faults.push(`${state}: line ${message.line}:${message.column}: ${message.message} (${message.ruleId})`);
    }
  }
  check(report.valid, `${state}: the HTML is not valid`);
  if (ORDINARY.includes(state)) {
    const bytes = Buffer.byteLength(html);
    check(bytes <= BYTES_MAX, `${state}: ${bytes} bytes of HTML, at most ${BYTES_MAX} wanted`);
  }
}

// --- the browser ---

let requests = [];
const server = createServer((request, response) => {
  requests.push(request.url);
  const [, state, ...rest] = request.url.split("/");
  if (!states.includes(state) || rest.join("/") !== "") {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy});
  response.end(read(state, "index.html"));
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const origin = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({
  executablePath: args.chromium,
  args: ["--disable-gpu", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
});

async function look(state, scheme, size) {
  const where = `${state}, ${scheme}, ${size}`;
  const context = await browser.newContext({viewport: SIZES[size], colorScheme: scheme});
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("dialog", (dialog) => { complaints.push("a dialog"); dialog.dismiss(); });
  requests = [];
  await page.goto(`${origin}/${state}/`, {waitUntil: "load"});
  check(complaints.length === 0, `${where}: the browser complains: ${complaints}`);
  check(requests.length === 1, `${where}: more than the page was fetched: ${requests}`);
  check(await page.evaluate(() => document.scripts.length) === 0, `${where}: there is a script`);
  for (const width of [SIZES[size].width, 320]) {
    await page.setViewportSize({...SIZES[size], width});
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(wide <= 0, `${where}: at ${width} px it scrolls sideways by ${wide} px`);
  }
  await page.setViewportSize(SIZES[size]);
  await page.screenshot({path: join(shots, `${state}-${scheme}-${size}.png`), fullPage: true});

  // What is folded away has to be readable too.
  await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  await page.evaluate(axe);
  const result = await page.evaluate((tags) => globalThis.axe.run(document, {
    runOnly: {type: "tag", values: tags},
  }), RULES);
  check(result.passes.some((rule) => rule.id === "color-contrast"), `${where}: no contrast was measured`);
  const open = result.incomplete.filter((rule) => rule.id === "color-contrast");
  for (const rule of [...result.violations, ...open]) {
    for (const node of rule.nodes.slice(0, 3)) {
      faults.push(`${where}: ${rule.id}: ${rule.help}: ${node.html.slice(0, 160)}: ` +
                  `${node.failureSummary || ""}`.replace(/\s+/g, " "));
    }
  }
  check(result.violations.length + open.length === 0, `${where}: it is not accessible`);
  await context.close();
}

async function lookWithoutColour(state) {
  const context = await browser.newContext({viewport: SIZES.desk, forcedColors: "active"});
  const page = await context.newPage();
  await page.goto(`${origin}/${state}/`);
  const shapes = await page.evaluate(() => [...document.querySelectorAll(".head, .banner")].map((one) =>
    [one.querySelector("svg use")?.getAttribute("href") ?? "", one.textContent.trim()]));
  check(shapes.length > 0 && shapes.every(([shape, words]) => shape && words),
        `${state}: a state without a shape or without words: ${JSON.stringify(shapes)}`);
  await page.screenshot({path: join(shots, `${state}-forced-colours.png`), fullPage: true});
  await context.close();
}

/// Without any script: the notice appears by itself when the page has stood there for long.
async function lookMuchLater(reducedMotion) {
  const context = await browser.newContext({viewport: SIZES.desk, reducedMotion});
  const page = await context.newPage();
  await page.goto(`${origin}/good/`);
  const visibility = () => page.evaluate(() => getComputedStyle(document.querySelector(".old")).visibility);
  const at = (ms) => page.evaluate((time) => document.querySelector(".old").getAnimations()
    .forEach((one) => { one.pause(); one.currentTime = time; }), ms);
  check(await visibility() === "hidden", `motion ${reducedMotion}: a fresh page says that it is old`);
  await at(299_000);
  check(await visibility() === "hidden", `motion ${reducedMotion}: it says so too early`);
  await at(301_000);
  check(await visibility() === "visible", `motion ${reducedMotion}: an old page does not say so`);
  await context.close();
}

async function readXml() {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto("about:blank");
  const parse = (text) => page.evaluate((xml) => {
    const tree = new DOMParser().parseFromString(xml, "application/xml");
    const error = tree.querySelector("parsererror");
    const texts = (selector) => [...tree.querySelectorAll(selector)].map((one) => one.textContent);
    return {
      error: error && error.textContent, root: tree.documentElement.nodeName, namespace: tree.documentElement.namespaceURI,
      role: tree.documentElement.getAttribute("role"), label: tree.documentElement.getAttribute("aria-label"),
      title: texts("title")[0], scripts: tree.querySelectorAll("script, style, foreignObject, image").length,
      items: tree.querySelectorAll("item, entry").length, ids: texts("item > guid, entry > id"),
      top: [...tree.querySelectorAll("channel > *, feed > *")].map((one) => one.nodeName),
      parts: [...tree.querySelectorAll("item, entry")].map((one) => [...one.children].map((part) => part.nodeName)),
      dates: texts("pubDate, lastBuildDate, updated, published"),
    };
  }, text);
  const has = (list, names) => names.every((name) => list.includes(name));
  for (const state of states) {
    const posts = JSON.parse(read(state, "status.json")).posts;
    const rss = await parse(read(state, "feed.rss"));
    check(!rss.error && rss.root === "rss", `${state}: RSS: ${rss.error}`);
    check(has(rss.top, ["title", "link", "description"]), `${state}: RSS: the channel has ${rss.top}`);
    check(rss.parts.every((item) => has(item, ["title", "guid", "pubDate", "description"])), `${state}: RSS: an item lacks something`);
    const atom = await parse(read(state, "feed.atom"));
    check(!atom.error && atom.root === "feed" && atom.namespace === "http://www.w3.org/2005/Atom", `${state}: Atom: ${atom.error}`);
    check(has(atom.top, ["id", "title", "updated", "author"]), `${state}: Atom: the feed has ${atom.top}`);
    check(atom.parts.every((entry) => has(entry, ["id", "title", "updated", "content"])), `${state}: Atom: an entry lacks something`);
    for (const feed of [rss, atom]) {
      check(feed.items === posts.length, `${state}: ${feed.root}: ${feed.items} entries for ${posts.length} posts`);
      check(new Set(feed.ids).size === feed.items, `${state}: ${feed.root}: ids are not unique`);
      check(feed.dates.every((date) => !Number.isNaN(Date.parse(date))), `${state}: ${feed.root}: dates ${feed.dates}`);
    }
    check(rss.ids.join() === atom.ids.join(), `${state}: the feeds do not agree`);
    const badge = await parse(read(state, "badge.svg"));
    check(!badge.error && badge.root === "svg" && badge.role === "img" && badge.label && badge.label === badge.title, `${state}: badge: ${badge.error}`);
    check(badge.scripts === 0, `${state}: the badge holds more than shapes and text`);
  }
  await page.setContent(states.map((state) => `<p>${state}</p>${read(state, "badge.svg")}`).join(""));
  const fits = await page.evaluate(() => [...document.querySelectorAll("svg")].every((svg) =>
    [...svg.querySelectorAll("text")].every((text) => text.getBBox().x + text.getBBox().width <= svg.viewBox.baseVal.width)));
  check(fits, "a badge's words do not fit");
  await page.screenshot({path: join(shots, "badges.png")});
  await context.close();
}

try {
  for (const state of states) {
    for (const scheme of SCHEMES) for (const size of Object.keys(SIZES)) await look(state, scheme, size);
    await lookWithoutColour(state);
  }
  for (const motion of ["no-preference", "reduce"]) await lookMuchLater(motion);
  await readXml();
} finally {
  await browser.close();
  server.close();
}
writeFileSync(join(resolve(args.out), "faults.txt"), faults.join("\n"));
for (const fault of faults.slice(0, 60)) console.error(fault);
console.log(`${checks} checks of ${states.length} states, ${faults.length} faults; screenshots in ${shots}`);
process.exit(faults.length === 0 ? 0 : 1);
