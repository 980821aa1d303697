"""What `cargo dev api-test` adds to schemathesis."""

import itertools
import uuid

import schemathesis

_numbers = itertools.count()


@schemathesis.hook
def filter_case(context, case):
    """Requests that never reach the service are not sent: Spin answers a header that is not UTF-8 with an empty 500 by itself."""
    return all(str(value).isascii() for value in (case.headers or {}).values())


@schemathesis.hook
def map_case(context, case):
    """Most valid orders get a key of their own: keys that were drawn are few, and an order with a used one is refused."""
    is_order = case.method.upper() == "POST" and case.operation.path == "/v1/orders"
    if is_order and case.meta is not None and case.meta.generation.mode.is_positive and next(_numbers) % 4:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    return case
