"""Reads events with the CloudEvents SDK, which checks them: structured ones, and HTTP messages in binary mode. Prints attributes and data as
JSON."""

import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat

with open(sys.argv[1], encoding="utf-8") as file:
    messages = json.load(file)


def plain(event):
    attributes = {name: str(value) for name, value in event.get_attributes().items()}
    return {"attributes": {**attributes, "time": event.get_time().isoformat()}, "data": event.get_data()}


format = JSONFormat()
structured = [plain(format.read(None, text)) for text in messages["structured"]]
binary = [
    plain(from_binary_event(HTTPMessage(headers=message["headers"], body=message["body"].encode()), format))
    for message in messages["binary"]
]
json.dump({"structured": structured, "binary": binary}, sys.stdout)
