// Calls are tried from the page, with a service that runs.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { SERVICE, answer, field, form, launch, open, send } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** Fills the form that places an order. */
async function fill(page, seats) {
  const place = form(page, "placeOrder");
  await field(place, "Body").fill(JSON.stringify({ user_id: 101, event_id: 101, seats }));
  return place;
}

test("an order is placed, replayed, read and refunded from the page, without a violation, an error or another origin", async () => {
  const { page, problems, origins } = await open(browser);
  const place = await fill(page, [101, 102]);
  const key = await field(place, "Idempotency-Key").inputValue();
  assert.match(key, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const placed = await send(place);
  assert.equal(placed.status, 201);
  assert.equal(placed.body.order.status, "CONFIRMED");
  assert.equal(placed.body.order.idempotency_key, key);
  assert.match(placed.headers, new RegExp(`^location: /v1/orders/${placed.body.order.id}$`, "m"));

  const again = await send(place);
  assert.equal(again.body.order.id, placed.body.order.id);
  assert.match(again.headers, /^idempotent-replayed: true$/m);

  // The other forms know the order by now.
  const read = form(page, "getOrder");
  assert.equal(await field(read, "id").inputValue(), placed.body.order.id);
  const document = await send(read);
  assert.deepEqual([document.status, document.body.order.id], [200, placed.body.order.id]);
  const etag = /^etag: (.+)$/m.exec(document.headers)[1];
  await read.locator("summary", { hasText: "optional" }).click();
  await field(read, "If-None-Match").fill(etag);
  assert.equal((await send(read)).status, 304);

  const refunded = await send(form(page, "refundOrder"));
  assert.deepEqual([refunded.status, refunded.body.order.status], [200, "REFUNDED"]);
  const journal = await send(form(page, "listOrderEvents"));
  assert.ok(journal.body.events.some(({ type }) => type === "refund_requested"), JSON.stringify(journal.body));
  assert.deepEqual(problems, []);
  assert.deepEqual([...origins], [SERVICE]);
  await page.context().close();
});

test("the curl line that is shown does the same", async () => {
  const { page } = await open(browser);
  const place = await fill(page, [103]);
  const line = await place.locator("pre.curl").textContent();
  const said = execFileSync("sh", ["-c", line], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  assert.match(said, /^HTTP\/1\.1 201 /);
  const placed = await send(place);
  assert.match(placed.headers, /^idempotent-replayed: true$/m);
  assert.match(said, new RegExp(placed.body.order.id));
  await page.context().close();
});

test("a new key makes another order, and an error is shown as it is", async () => {
  const { page } = await open(browser);
  const place = await fill(page, [104]);
  const key = field(place, "Idempotency-Key");
  const first = await key.inputValue();
  assert.equal((await send(place)).status, 201);
  await place.getByRole("button", { name: "New key" }).click();
  assert.notEqual(await key.inputValue(), first);
  assert.match(await place.locator("pre.curl").textContent(), new RegExp(await key.inputValue()));
  const taken = await send(place);
  assert.deepEqual([taken.status, taken.body.code], [409, "seats_unavailable"]);
  await field(place, "Body").fill("{");
  const malformed = await send(place);
  assert.deepEqual([malformed.status, malformed.body.code], [400, "malformed_json"]);
  await page.context().close();
});

test("a token is sent, shared by the forms, and never in the curl line", async () => {
  const { page, problems } = await open(browser);
  const stuck = form(page, "listStuck");
  await field(stuck, "Authorization").fill(process.env.TOKEN);
  const told = await send(stuck);
  assert.equal(told.status, 200, JSON.stringify(told.body));
  const sweep = form(page, "sweep");
  assert.equal(await field(sweep, "Authorization").inputValue(), process.env.TOKEN);
  for (const one of [stuck, sweep]) {
    const line = await one.locator("pre.curl").textContent();
    assert.ok(line.includes('"Authorization: Bearer $TOKEN"') && !line.includes(process.env.TOKEN), line);
  }
  assert.equal((await send(sweep)).status, 200);
  assert.deepEqual(problems, []);
  await page.context().close();
});

test("every operation has a form that sends its method and path", async () => {
  const document = await (await fetch(`${SERVICE}/openapi.json`)).json();
  const { page } = await open(browser);
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of ["get", "post", "put", "patch", "delete"].filter((method) => item[method])) {
      const one = form(page, item[method].operationId);
      const line = await one.locator("pre.curl").textContent();
      assert.ok(line.includes(`'${SERVICE}${path}'`), line);
      const posts = line.includes("-X POST") || line.includes("--data-raw");
      assert.equal(posts, method === "post", line);
    }
  }
  await page.context().close();
});

test("the keyboard alone reaches the button of a call, and sends it", async () => {
  const { page, problems } = await open(browser);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  const reached = () => page.evaluate(() => {
    const { activeElement } = document;
    const { outlineStyle, outlineWidth } = getComputedStyle(activeElement);
    const box = activeElement.getBoundingClientRect();
    return {
      isSend: activeElement.matches("#placeOrder .send"),
      what: activeElement.outerHTML.slice(0, 120),
      shown: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
      seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
    };
  });
  let at = await reached();
  for (let presses = 0; !at.isSend && presses < 300; presses++) {
    await page.keyboard.press("Tab");
    at = await reached();
    assert.ok(at.shown, `the focus can be seen: ${at.what}`);
    assert.ok(at.seen, `what has the focus is in the window: ${at.what}`);
  }
  assert.ok(at.isSend, at.what);
  await (await fill(page, [105])).locator(".send").focus();
  await page.keyboard.press("Enter");
  const placed = await answer(form(page, "placeOrder"));
  assert.equal(placed.status, 201);
  assert.ok((await reached()).isSend, "the focus stays where it was");
  assert.deepEqual(problems, []);
  await page.context().close();
});
