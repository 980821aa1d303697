// A client of the Order Service: places, follows, lists, cancels and refunds orders, and repeats what had no answer.
//
// The types are those of the OpenAPI document (schema.d.ts is made by openapi-typescript). Every call of this file may be repeated
// without harm: placing by its key, cancelling and refunding because they are the same the second time, reading anyway.

import createClient, { type Client } from "openapi-fetch";
import type { components, operations, paths } from "./schema.js";

export type OrderDocument = components["schemas"]["OrderDocument"];
export type OrderPage = components["schemas"]["OrderPage"];
export type PlaceOrder = components["schemas"]["PlaceOrder"];
export type Problem = components["schemas"]["Problem"];
export type ListQuery = NonNullable<operations["listOrders"]["parameters"]["query"]>;

/** Waits so many milliseconds, in Node and in browsers. */
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Statuses after which a request is repeated: nothing was decided. */
const REPEATED: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** The longest time between two attempts, in milliseconds, unless the service asks for more. */
const LONGEST_WAIT = 10_000;

/** How a client is set up. */
export interface Options {
  /** Such as `https://orders.example`, without a slash at the end. */
  baseUrl: string;
  /** The bearer token, asked for at each attempt, and once more after a 401, so that one that has expired can be made anew. */
  token?: () => string | Promise<string>;
  /** How long a call repeats what has no answer, in milliseconds (30 seconds). */
  patience?: number;
  /** How long one attempt may take, in milliseconds (10 seconds). */
  timeout?: number;
  /** Another `fetch`, for tests. */
  fetch?: (request: Request) => Promise<Response>;
}

/** The service said no (a problem, RFC 9457), or nothing to the last of several attempts. */
export class OrderError extends Error {
  /** The HTTP status; `undefined` when there was no answer at all. */
  readonly status: number | undefined;
  /** What to act on, such as `seats_unavailable`; `undefined` when something else than the service answered, or nothing. */
  readonly code: string | undefined;
  /** The problem, with the order that it is about and the wrong members. */
  readonly problem: Problem | undefined;
  /** What to tell somebody who looks into it. */
  readonly requestId: string | undefined;

  constructor(message: string, answer?: { status: number; problem: Problem | undefined; requestId: string | null }, cause?: unknown) {
    super(message, { cause });
    this.name = "OrderError";
    this.status = answer?.status;
    this.code = answer?.problem?.code;
    this.problem = answer?.problem;
    this.requestId = answer?.requestId ?? undefined;
  }
}

/** What openapi-fetch gives for a call. */
interface Result<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

export class Orders {
  readonly #client: Client<paths>;
  readonly #hasToken: boolean;
  readonly #patience: number;
  readonly #timeout: number;

  constructor({ baseUrl, token, patience = 30_000, timeout = 10_000, fetch }: Options) {
    this.#client = createClient<paths>({ baseUrl, ...(fetch && { fetch }) });
    this.#hasToken = token !== undefined;
    this.#patience = patience;
    this.#timeout = timeout;
    this.#client.use({
      async onRequest({ request }) {
        if (token) request.headers.set("Authorization", `Bearer ${await token()}`);
        return request;
      },
    });
  }

  /**
   * Places an order. Make the key once for what the buyer wants, keep it with that, and use it again after a crash of yours: it is the
   * same order then. The order may still be `PENDING`: see {@link waitUntilSettled}.
   */
  async place(order: PlaceOrder, key: string): Promise<OrderDocument> {
    return this.#repeat((signal) =>
      this.#client.POST("/v1/orders", { params: { header: { "Idempotency-Key": key } }, body: order, signal }));
  }

  /** Reads an order. */
  async read(id: string): Promise<OrderDocument> {
    return this.#repeat((signal) => this.#client.GET("/v1/orders/{id}", { params: { path: { id } }, signal }));
  }

  /**
   * Reads an order until it is no longer `PENDING`, by its entity tag: what has not changed is not sent again. Without `within`
   * milliseconds it ends with the order: one that is not paid, a little after `expires_at` at the latest.
   */
  async waitUntilSettled(id: string, { every = 1_000, within = Infinity } = {}): Promise<OrderDocument> {
    const deadline = Date.now() + within;
    let last: OrderDocument | undefined;
    let etag: string | undefined;
    for (;;) {
      const header = etag === undefined ? {} : { "If-None-Match": etag };
      last = await this.#repeat(async (signal) => {
        const result = await this.#client.GET("/v1/orders/{id}", { params: { path: { id }, header }, signal });
        etag = result.response.headers.get("ETag") ?? undefined;
        return result.response.status === 304 && last ? { data: last, response: result.response } : result;
      });
      if (last.order.status !== "PENDING") return last;
      if (Date.now() + every > deadline) throw new OrderError(`order ${id} is still PENDING`);
      await wait(every);
    }
  }

  /** Cancels an order that is `PENDING`. */
  async cancel(id: string): Promise<OrderDocument> {
    return this.#repeat((signal) => this.#client.POST("/v1/orders/{id}/cancel", { params: { path: { id } }, signal }));
  }

  /** Gives the money of a `CONFIRMED` order back. It may still be `CONFIRMED` in the answer, while Payment takes its time. */
  async refund(id: string): Promise<OrderDocument> {
    return this.#repeat((signal) => this.#client.POST("/v1/orders/{id}/refund", { params: { path: { id } }, signal }));
  }

  /** All orders that match, page after page; with a look-up (`ticket_code`, …) those that it finds. */
  async *list(query: Omit<ListQuery, "updated_since" | "page_token">): AsyncGenerator<OrderDocument> {
    let token: string | undefined;
    do {
      const page = await this.page({ ...query, ...(token !== undefined && { page_token: token }) });
      yield* page.orders;
      token = page.next_page_token;
    } while (token !== undefined);
  }

  /**
   * Follows all changes since a time, to keep a copy in step: gives a page of orders as they are now, and the token to go on with.
   * Store both in one transaction; an order may come more than once. An empty page tells that the copy is complete for now.
   */
  async *changes(since: Date, token?: string, pageSize = 200): AsyncGenerator<{ orders: OrderDocument[]; token: string }> {
    for (;;) {
      const query = { updated_since: since.toISOString(), page_size: pageSize };
      const page = await this.page({ ...query, ...(token !== undefined && { page_token: token }) });
      if (page.next_page_token === undefined) throw new OrderError("a page of changes has no token to go on with");
      token = page.next_page_token;
      yield { orders: page.orders, token };
    }
  }

  /** One page of a list. */
  async page(query: ListQuery): Promise<OrderPage> {
    return this.#repeat((signal) => this.#client.GET("/v1/orders", { params: { query }, signal }));
  }

  /** Makes attempts until one is answered, or the patience is over. */
  async #repeat<T>(attempt: (signal: AbortSignal) => Promise<Result<T>>): Promise<T> {
    const deadline = Date.now() + this.#patience;
    let mayRenewToken = this.#hasToken;
    for (let number = 0; ; number++) {
      let failure: OrderError;
      let asked = 0;
      const ends = new AbortController();
      const timer = setTimeout(() => ends.abort(), this.#timeout);
      try {
        const { data, error, response } = await attempt(ends.signal);
        if (response.ok && data !== undefined) return data;
        if (response.status === 304 && data !== undefined) return data;
        failure = refusal(response, error);
        // The token may have expired: another one is asked for, once.
        if (response.status === 401 && mayRenewToken) {
          mayRenewToken = false;
          continue;
        }
        if (!REPEATED.has(response.status)) throw failure;
        asked = retryAfter(response);
      } catch (cause) {
        if (cause instanceof OrderError) throw cause;
        // No answer, or half of one: it may have been done or not. The next attempt tells.
        failure = new OrderError("the service does not answer", undefined, cause);
      } finally {
        clearTimeout(timer);
        // Also after an answer: Node's fetch waits on for a body of a 304 that has a Content-Length, and holds the connection.
        ends.abort();
      }
      // 0.25, 0.5, 1, … seconds, less up to half of it at random, so that many clients do not come back at once.
      const growing = Math.min(LONGEST_WAIT, 250 * 2 ** number) * (1 - Math.random() / 2);
      const pause = Math.max(asked, growing);
      if (Date.now() + pause > deadline) throw failure;
      await wait(pause);
    }
  }
}

function refusal(response: Response, error: unknown): OrderError {
  const problem = isProblem(error) ? error : undefined;
  const message = problem ? `${problem.title}. ${problem.detail}` : `the answer is ${response.status}`;
  return new OrderError(message, { status: response.status, problem, requestId: response.headers.get("X-Request-Id") });
}

/** Whether the service itself has answered, and not something in front of it. */
function isProblem(error: unknown): error is Problem {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string";
}

/** `Retry-After` in milliseconds; the service sends seconds, what stands in front of it perhaps a date. */
function retryAfter(response: Response): number {
  const value = response.headers.get("Retry-After");
  if (value === null) return 0;
  const milliseconds = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : 0;
}
