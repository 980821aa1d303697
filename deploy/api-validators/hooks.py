"""What `cargo dev api-test` adds to schemathesis."""

import itertools
import os
import uuid

import schemathesis

_numbers = itertools.count()
_seats = itertools.count(int(os.environ["FIRST_SEAT"]))


@schemathesis.hook
def filter_case(context, case):
    """Requests that never reach the service are not sent: Spin answers a header that is not UTF-8 with an empty 500 by itself."""
    return all(str(value).isascii() for value in (case.headers or {}).values())


@schemathesis.hook
def map_case(context, case):
    """Most valid orders get a key and seats of their own: those that are drawn are few, and an order with used ones is refused."""
    is_order = case.method.upper() == "POST" and case.operation.path == "/v1/orders"
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    if is_order and is_valid and isinstance(case.body, dict) and next(_numbers) % 4:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
        case.body = {**case.body, "seats": [next(_seats) for _ in case.body["seats"]]}
    return case
