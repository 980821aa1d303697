// The client against a service that runs, with stand-ins for its peers that can be made to fail.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { OrderError, Orders, type OrderDocument, type Options } from "../src/orders.js";

const env = (name: string): string => {
  const value = process.env[name];
  assert.ok(value, `${name} is set`);
  return value;
};
const baseUrl = env("BASE");
// While authentication is off, lists take the internal token, and nothing else asks for one.
const token = () => env("TOKEN");
const orders = new Orders({ baseUrl, token });

/** Tells the stand-ins how to behave. */
async function control(path: string, body: unknown, method = "POST"): Promise<unknown> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const answer = await fetch(`${env("SANDBOX")}/control/${path}`, init);
  const text = await answer.text();
  assert.ok(answer.ok, `${path}: ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

/** A `fetch` that loses the first answers, after the service has had the request. */
function losing(answers: number): { fetch: NonNullable<Options["fetch"]>; requests: () => number } {
  let requests = 0;
  return {
    async fetch(request) {
      requests += 1;
      const answer = await fetch(request);
      if (requests > answers) return answer;
      await answer.arrayBuffer();
      throw new TypeError("the connection is gone");
    },
    requests: () => requests,
  };
}

let seat = 300;
const order = (user: number) => ({ user_id: user, event_id: 101, seats: [++seat, ++seat] });
const refused = (status: number, code: string) => (error: unknown) => {
  assert.ok(error instanceof OrderError, String(error));
  assert.deepEqual([error.status, error.code], [status, code]);
  assert.ok(error.requestId);
  return true;
};

test("an order whose answers are lost is placed once, and is the same under its key", async () => {
  const lossy = losing(2);
  const client = new Orders({ baseUrl, fetch: lossy.fetch });
  const key = randomUUID();
  const wanted = order(7001);
  const placed = await client.place(wanted, key);
  assert.equal(lossy.requests(), 3);
  assert.equal(placed.order.status, "CONFIRMED");
  assert.equal(placed.tickets.length, 2);
  const again = await orders.place(wanted, key);
  assert.equal(again.order.id, placed.order.id);
  assert.deepEqual(await collect(orders.list({ user_id: 7001 })), [placed.order.id]);
});

test("while Catalog is away the same request is sent again, until there is an order", async () => {
  await control("faults", { call: "event", action: "lose_request", times: 2 });
  const placed = await orders.place(order(7002), randomUUID());
  assert.equal(placed.order.status, "CONFIRMED");
});

test("patience ends, with the problem that was answered last", async () => {
  const fault = (await control("faults", { call: "event", action: { fail: { status: 503 } }, times: null })) as { id: number };
  const impatient = new Orders({ baseUrl, patience: 1_000 });
  await assert.rejects(impatient.place(order(7003), randomUUID()), refused(503, "peer_unavailable"));
  await control(`faults/${fault.id}`, undefined, "DELETE");
});

test("an order is polled until it is paid", async () => {
  await control("payments/mode", { mode: "pending", user_id: 7004 });
  const placed = await orders.place(order(7004), randomUUID());
  assert.equal(placed.order.status, "PENDING");
  await assert.rejects(orders.waitUntilSettled(placed.order.id, { every: 50, within: 200 }), /still PENDING/);
  const settled = orders.waitUntilSettled(placed.order.id, { every: 50 });
  await control("payments/settle", { order_id: placed.order.id, status: "SUCCESS" });
  assert.deepEqual([(await settled).order.status, (await settled).tickets.length], ["CONFIRMED", 2]);
});

test("an order that is not paid yet is cancelled, again and again, and cannot be refunded", async () => {
  await control("payments/mode", { mode: "pending", user_id: 7005 });
  const { order: { id } } = await orders.place(order(7005), randomUUID());
  for (let times = 0; times < 2; times++) assert.equal((await orders.cancel(id)).order.status, "CANCELLED");
  await assert.rejects(orders.refund(id), refused(409, "order_not_refundable"));
});

test("a confirmed order is refunded, its tickets are void, and it cannot be cancelled", async () => {
  const { order: { id } } = await orders.place(order(7006), randomUUID());
  await assert.rejects(orders.cancel(id), refused(409, "order_not_cancellable"));
  const refunded = await orders.refund(id);
  assert.equal(refunded.order.status, "REFUNDED");
  assert.ok(refunded.tickets.every(({ status }) => status === "VOID"));
});

test("orders are listed page by page, newest first, and found by ticket", async () => {
  const placed: string[] = [];
  for (let times = 0; times < 5; times++) placed.unshift((await orders.place(order(7007), randomUUID())).order.id);
  assert.deepEqual(await collect(orders.list({ user_id: 7007, page_size: 2 })), placed);
  const newest = await orders.read(placed[0]!);
  assert.deepEqual(await collect(orders.list({ ticket_code: newest.tickets[0]!.ticket_code })), [newest.order.id]);
  await assert.rejects(orders.page({ page_token: "x" }), refused(400, "invalid_page_token"));
});

test("a copy that follows the changes has every order's last state", async () => {
  const begin = new Date();
  const copy = new Map<string, OrderDocument>();
  let token: string | undefined;
  // Goes on until nothing new comes: what was stored a moment ago may still be held back.
  const follow = async (enough: () => boolean) => {
    for await (const page of orders.changes(begin, token, 3)) {
      token = page.token;
      for (const document of page.orders) copy.set(document.order.id, document);
      if (page.orders.length === 0 && enough()) return;
      assert.ok(Date.now() < begin.getTime() + 30_000, "the copy is complete in time");
    }
  };
  const ids: string[] = [];
  for (let times = 0; times < 7; times++) ids.push((await orders.place(order(7008), randomUUID())).order.id);
  await follow(() => ids.every((id) => copy.get(id)?.order.status === "CONFIRMED"));
  await orders.refund(ids[3]!);
  await follow(() => copy.get(ids[3]!)?.order.status === "REFUNDED");
});

test("refusals tell what to do: taken seats, a reused key, wrong members, an unknown order", async () => {
  const wanted = order(7009);
  const key = randomUUID();
  await orders.place(wanted, key);
  await assert.rejects(orders.place({ ...wanted, user_id: 7010 }, randomUUID()), refused(409, "seats_unavailable"));
  await assert.rejects(orders.place(order(7009), key), refused(422, "idempotency_key_reused"));
  await assert.rejects(orders.place({ ...wanted, seats: [] }, randomUUID()), (error: OrderError) =>
    refused(422, "validation_failed")(error) && error.problem?.errors?.[0]?.pointer === "#/seats");
  await assert.rejects(orders.read("01980000-0000-7000-8000-000000000000"), refused(404, "order_not_found"));
});

test("after 401 another token is asked for, once", async () => {
  let requests = 0;
  const client = (tokens: string[]) => new Orders({
    baseUrl,
    token: () => tokens.shift()!,
    async fetch(request) {
      requests += 1;
      if (request.headers.get("Authorization") === `Bearer ${token()}`) return fetch(request);
      return new Response("{}", { status: 401, headers: { "Content-Type": "application/json" } });
    },
  });
  assert.deepEqual((await client(["expired", token()]).page({ user_id: 7011 })).orders, []);
  assert.equal(requests, 2);
  await assert.rejects(client(["expired", "expired", token()]).page({}), (error: OrderError) => error.status === 401);
  assert.equal(requests, 4);
});

test("what stands in front of the service, and answers in its place, is no problem with a code", async () => {
  const gateway = new Orders({ baseUrl, fetch: async () => new Response("<html>", { status: 403, headers: { "Content-Type": "text/html" } }) });
  await assert.rejects(gateway.read(randomUUID()), (error: OrderError) => error.status === 403 && error.code === undefined);
});

async function collect(documents: AsyncGenerator<OrderDocument>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { order } of documents) ids.push(order.id);
  return ids;
}
