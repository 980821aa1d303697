// The browser, and a page of it that writes down what should not happen.

import { chromium } from "playwright-core";

/** The service's address, without a slash at the end. */
export const SERVICE = process.env.BASE;

/** Opens the browser. As root Chromium's sandbox cannot be used. */
export function launch() {
  const isRoot = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--disable-dev-shm-usage", ...(isRoot ? ["--no-sandbox"] : [])],
  });
}

/**
 * Opens a page in a context of its own. `problems` gets every message of the console above info, every error of a script and every
 * violation of the Content-Security-Policy; `origins` the origin of every request.
 */
export async function open(browser, options = {}) {
  const { at = "", ready = true, route, ...context } = options;
  const own = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: "reduce",
    ...context,
  });
  const page = await own.newPage();
  const problems = [];
  const origins = new Set();
  page.on("console", (message) => {
    if (!["log", "info", "debug"].includes(message.type())) problems.push(`console: ${message.text()}`);
    if (message.text().startsWith("violation: ")) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith("data:")) origins.add(new URL(request.url()).origin);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.info(`violation: ${event.effectiveDirective} ${event.blockedURI}`);
    });
  });
  if (route) await route(page);
  await page.goto(`${SERVICE}/docs${at}`);
  if (ready) await page.waitForSelector("html[data-ready]");
  return { page, problems, origins };
}

/** The form that tries an operation. */
export const form = (page, operation) => page.locator(`#${operation} form`);

/** A field of a form, by its label. */
export const field = (form, name) => form.locator(".field", { has: form.page().locator(`label > span:text-is("${name}")`) }).locator("input, select, textarea").last();

/** Sends a form, and reads what it shows: the status, the headers, and the body as JSON, if it is. */
export async function send(form) {
  await form.getByRole("button", { name: "Send" }).click();
  return answer(form);
}

/** What a form shows once the call is over. */
export async function answer(form) {
  await form.locator("button.send:enabled", { hasText: "Send" }).waitFor();
  const [status, headers, body] = await Promise.all([
    form.locator(".outcome .status").textContent(),
    form.locator(".answer-of-call .headers pre").textContent(),
    form.locator(".answer-of-call .body pre").allTextContents().then((texts) => texts.join("")),
  ]);
  return { status: Number(status), headers, body: /json/.test(headers) && body ? JSON.parse(body) : body };
}
