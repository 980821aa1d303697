// The page itself: what it may do, how it looks, and for whom it works.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import axe from "axe-core";
import { SERVICE, field, form, launch, open, send } from "./browser.mjs";

const SCHEMES = ["light", "dark"];
const WIDTHS = { narrow: 360, wide: 1440 };
const MOST_BYTES = 40 * 1024;

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

test("all of the page has at most 40 KB, compressed", async () => {
  const html = Buffer.from(await (await fetch(`${SERVICE}/docs`)).arrayBuffer());
  const size = gzipSync(html).length;
  console.log(`${size} bytes compressed, ${html.length} as they are`);
  assert.ok(size > 1000 && size <= MOST_BYTES, `${size} bytes`);
});

test("the policy stops a script, a style and a request that are not the page's own", async () => {
  const { page, problems } = await open(browser);
  await page.evaluate(() => {
    const script = document.createElement("script");
    try {
      script.text = "globalThis.foreign = true";
    } catch (error) {
      console.info(error.message);
    }
    document.body.append(script);
    document.body.setAttribute("style", "color: red");
    return fetch("http://127.0.0.1:9/").catch(() => {});
  });
  assert.equal(await page.evaluate(() => globalThis.foreign), undefined);
  for (const directive of ["require-trusted-types-for", "style-src-attr", "connect-src"]) {
    assert.ok(problems.some((problem) => problem.startsWith(`violation: ${directive}`)), `${directive}: ${problems}`);
  }
  await page.context().close();
});

test("markup in the document is shown as text", async () => {
  const markup = "<img src=x onerror=globalThis.foreign=true> [link](javascript:foreign) **bold** `code`";
  const { page, problems } = await open(browser, {
    route: (page) => page.route("**/openapi.json", async (route) => {
      const answer = await route.fetch();
      const document = await answer.json();
      document.paths["/health"].get.description = markup;
      document.paths["/health"].get.summary = markup;
      await route.fulfill({ response: answer, json: document });
    }),
  });
  const health = page.locator("#getHealth");
  assert.ok((await health.locator(".about").textContent()).includes("<img src=x onerror=globalThis.foreign=true> [link](javascript:foreign) bold code"));
  assert.equal(await health.locator("img").count(), 0);
  assert.equal(await page.locator("a[href^='javascript']").count(), 0);
  assert.deepEqual(problems, []);
  await page.context().close();
});

test("without the document the page says so, and stays readable", async () => {
  const { page } = await open(browser, {
    ready: false,
    route: (page) => page.route("**/openapi.json", (route) => route.fulfill({ status: 503, body: "" })),
  });
  await page.getByText("The document could not be read (the answer is 503).").waitFor();
  assert.ok(await page.locator("#operations tbody tr").count() > 10);
  await page.context().close();
});

test("without a script the page lists every operation of the document, with links that lead somewhere", async () => {
  const { page } = await open(browser, { javaScriptEnabled: false, ready: false });
  const listed = (await page.locator("#operations tbody td:first-child").allTextContents()).sort();
  const document = await (await fetch(`${SERVICE}/openapi.json`)).json();
  const known = Object.entries(document.paths).flatMap(([path, item]) =>
    ["get", "post", "put", "patch", "delete"].filter((method) => item[method]).map((method) => `${method.toUpperCase()} ${path}`));
  assert.deepEqual(listed, known.sort());
  for (const link of await page.locator("a[href]").all()) {
    const href = await link.getAttribute("href");
    if (href.startsWith("#")) assert.equal(await page.locator(`[id='${href.slice(1)}']`).count(), 1, href);
    else assert.equal((await fetch(SERVICE + href)).status, 200, href);
  }
  assert.ok(await page.getByRole("img", { name: "The states of an order" }).isVisible());
  await page.context().close();
});

test("every link of the page leads somewhere, and every id is there once", async () => {
  const { page } = await open(browser);
  const { dead, twice } = await page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
    const links = [...document.querySelectorAll("a[href^='#']")].map((link) => link.getAttribute("href").slice(1));
    return { dead: links.filter((id) => !ids.includes(id)), twice: ids.filter((id, at) => ids.indexOf(id) !== at) };
  });
  assert.deepEqual({ dead, twice }, { dead: [], twice: [] });
  await page.context().close();
});

test("motion is left out for who asks for that", async () => {
  for (const [reducedMotion, behavior] of [["reduce", "auto"], ["no-preference", "smooth"]]) {
    const { page } = await open(browser, { reducedMotion });
    assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior), behavior);
    await page.context().close();
  }
});

test("nothing is wider than the window, from 320 pixels on", async () => {
  for (const width of [320, 360, 768, 1024, 1280, 1440, 1920]) {
    const { page } = await open(browser, { viewport: { width, height: 800 } });
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${width} pixels`);
    await page.context().close();
  }
});

test("the contents open and close on a narrow screen, by a click and by the keyboard", async () => {
  const { page } = await open(browser, { viewport: { width: WIDTHS.narrow, height: 740 } });
  const button = page.getByRole("button", { name: "Contents" });
  const link = page.getByRole("navigation").getByRole("link", { name: "Places an order" });
  assert.equal(await link.isVisible(), false);
  await button.click();
  assert.equal(await button.getAttribute("aria-expanded"), "true");
  await page.keyboard.press("Escape");
  assert.equal(await link.isVisible(), false);
  await button.click();
  await link.click();
  assert.equal(await link.isVisible(), false);
  assert.ok(await page.locator("#placeOrder h3").evaluate((title) => {
    const { top } = title.getBoundingClientRect();
    return top >= document.querySelector(".side").getBoundingClientRect().bottom && top < innerHeight;
  }), "the title is below the bar");
  await page.context().close();
});

/** What axe finds. It is put into the page past the policy, which is what others tests are about. */
async function findings(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).slice(0, 3).join("; ")}`);
}

for (const colorScheme of SCHEMES) {
  for (const [name, width] of Object.entries(WIDTHS)) {
    test(`axe finds nothing, ${colorScheme} and ${name}, with everything opened and answers shown; screenshots`, async () => {
      const viewport = { width, height: name === "wide" ? 900 : 740 };
      const { page } = await open(browser, { colorScheme, viewport, bypassCSP: true });
      const shot = async (what, at) => {
        if (at) await page.evaluate((at) => document.querySelector(at).scrollIntoView(), at);
        await page.screenshot({ path: `${process.env.SCREENSHOTS}/${what}-${colorScheme}-${name}.png` });
      };
      await shot("overview", "#overview");
      assert.deepEqual(await findings(page), []);
      await shot("states", "#life");
      // Seats of this test alone.
      const seat = 200 + 10 * SCHEMES.indexOf(colorScheme) + Object.keys(WIDTHS).indexOf(name);
      const place = form(page, "placeOrder");
      await field(place, "Body").fill(`{\n  "user_id": 101,\n  "event_id": 101,\n  "seats": [${seat}]\n}`);
      assert.equal((await send(place)).status, 201);
      await shot("call");
      await send(form(page, "cancelOrder"));
      await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
      if (name === "narrow") {
        await page.getByRole("button", { name: "Contents" }).click();
        await page.screenshot({ path: `${process.env.SCREENSHOTS}/contents-${colorScheme}-${name}.png` });
      }
      assert.deepEqual(await findings(page), []);
      await page.context().close();
    });
  }
}

test("axe would find text without contrast, and a field without a label", async () => {
  const { page } = await open(browser, { bypassCSP: true });
  await page.evaluate(() => {
    document.querySelector(".lead").style.color = "rgb(200, 200, 200)";
    document.querySelector("#placeOrder label").remove();
  });
  const found = await findings(page);
  assert.ok(found.some((one) => one.startsWith("color-contrast")) && found.some((one) => one.startsWith("label")), found.join("\n"));
  await page.context().close();
});
