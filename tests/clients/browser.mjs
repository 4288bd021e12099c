// Drives a real Chromium for the Python tests: one JSON line in, one JSON line out.
//   {"open": url}                    a new page; answers its number
//   {"page": n, "run": expression}   evaluates it in the page, waits for promises, answers its value
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const args = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const browser = await chromium.launch({ executablePath, args });
const pages = [];

async function answer({ open, page, run }) {
  if (open === undefined) return await pages[page].evaluate(run);
  const opened = await browser.newPage();
  await opened.goto(open);
  return pages.push(opened) - 1;
}

console.log(JSON.stringify({ value: browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
  const said = await answer(JSON.parse(line)).then((value) => ({ value: value ?? null }), (error) => ({ error: String(error) }));
  console.log(JSON.stringify(said));
}
await browser.close();
