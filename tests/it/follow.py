#!/usr/bin/env python3
"""Follows ALTO resources through an update stream, by the text of RFC 8895 alone.

    follow.py STREAM_URI ADD

STREAM_URI is where the stream is opened, ADD the JSON of the "add" member of the
request. Each line of the output is a JSON object:

    {"control": ...}    the payload of a control event
    {"substream": ..., "media-type": ..., "sha256": ...}
                        a data event, and the SHA-256 of the canonical form
                        (RFC 8785) of what the substream has by now
    {"documents": ...}  at the end of the stream, what every substream had

A server that breaks a rule is named on standard error, and the exit code is 1.
It needs Python 3 and nothing else. Merge patches (RFC 7396), JSON patches (RFC
6902) and server-sent events are implemented here, so that no code is shared
with the server.
"""

import copy
import hashlib
import json
import sys
import urllib.request

CONTROL = "application/alto-updatestreamcontrol+json"
PARAMS = "application/alto-updatestreamparams+json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class Broken(Exception):
    """The server broke a rule."""


def lines(stream):
    """The lines of a stream of bytes, which end in CR, LF or CRLF."""
    rest = b""
    while True:
        piece = stream.read1(65536)
        if not piece:
            return
        rest += piece
        # A CR at the end may be half of a CRLF.
        held = rest.endswith(b"\r")
        text, rest = (rest[:-1], b"\r") if held else (rest, b"")
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, last = text.split(b"\n")
        rest = last + rest
        for line in whole:
            yield line.decode("utf-8")


def events(stream):
    """The events of a stream: name and data (HTML, section 9.2.6)."""
    name, data = "", []
    for line in lines(stream):
        if line == "":
            if data:
                yield name, "\n".join(data)
            name, data = "", []
            continue
        if line.startswith(":"):
            continue
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            raise Broken("5.1: an event has an id")


def merge(target, patch):
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merge(target.get(name), value)
    return target


def steps(pointer):
    """The reference tokens of a JSON pointer (RFC 6901)."""
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise Broken(f"RFC 6901: {pointer!r} is no pointer")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def place(array, step, end):
    """The place in an array that a token names, at most `end`."""
    number = len(array) if step == "-" else int(step)
    if not 0 <= number <= end:
        raise Broken(f"RFC 6902: there is no place {step}")
    return number


def find(document, tokens):
    for step in tokens:
        if isinstance(document, list):
            document = document[place(document, step, len(document) - 1)]
        elif step in document:
            document = document[step]
        else:
            raise Broken(f"RFC 6902: there is no member {step!r}")
    return document


def put(document, tokens, value, replaced):
    if not tokens:
        return value
    parent, last = find(document, tokens[:-1]), tokens[-1]
    if replaced:
        find(parent, [last])
    if isinstance(parent, dict):
        parent[last] = value
    elif replaced:
        parent[place(parent, last, len(parent) - 1)] = value
    else:
        parent.insert(place(parent, last, len(parent)), value)
    return document


def take(document, tokens):
    find(document, tokens)
    parent, last = find(document, tokens[:-1]), tokens[-1]
    if isinstance(parent, list):
        return parent.pop(place(parent, last, len(parent) - 1))
    return parent.pop(last)


def operate(document, operations):
    """RFC 6902, section 4."""
    if not isinstance(operations, list):
        raise Broken("RFC 6902: a JSON patch is an array")
    document = copy.deepcopy(document)
    for operation in operations:
        op, path = operation["op"], steps(operation["path"])
        if op in ("add", "replace"):
            document = put(document, path, operation["value"], op == "replace")
        elif op == "remove":
            take(document, path)
        elif op == "move":
            document = put(document, path, take(document, steps(operation["from"])), False)
        elif op == "copy":
            value = copy.deepcopy(find(document, steps(operation["from"])))
            document = put(document, path, value, False)
        elif op == "test":
            if find(document, path) != operation["value"]:
                raise Broken(f"RFC 6902: the test of {operation['path']} fails")
        else:
            raise Broken(f"RFC 6902: there is no operation {op!r}")
    return document


def number(value):
    """A number as ECMAScript writes it (RFC 8785, section 3.2.2.3)."""
    if isinstance(value, int) and abs(value) < 2**53:
        return str(value)
    value = float(value)
    if value == 0:
        return "0"
    sign, value = ("-", -value) if value < 0 else ("", value)
    # The fewest digits that give the same number again.
    for precision in range(17):
        mantissa, _, exponent = format(value, f".{precision}e").partition("e")
        if float(f"{mantissa}e{exponent}") == value:
            break
    digits, point = mantissa.replace(".", ""), int(exponent) + 1
    if 0 < point <= 21:
        whole, part = digits[:point].ljust(point, "0"), digits[point:]
        return sign + whole + ("." + part if part else "")
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    part = "." + digits[1:] if digits[1:] else ""
    return f"{sign}{digits[0]}{part}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def canonical(value):
    """RFC 8785."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        members = (f"{canonical(name)}:{canonical(value[name])}" for name in names)
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def tags(document):
    """The network maps that a document says it is of, with their tags."""
    vtags = document.get("meta", {}).get("dependent-vtags", [])
    return [(vtag["resource-id"], vtag["tag"]) for vtag in vtags]


def tell(what):
    print(json.dumps(what), flush=True)


def follow(uri, add):
    body = json.dumps({"add": add}).encode()
    headers = {"Content-Type": PARAMS, "Accept": "text/event-stream, application/alto-error+json"}
    request = urllib.request.Request(uri, data=body, headers=headers, method="POST")
    followed = {substream["resource-id"] for substream in add.values()}
    documents, versions, active = {}, set(), set(add)
    controlled = False
    with urllib.request.urlopen(request) as stream:
        media_type = stream.headers.get_content_type()
        if media_type != "text/event-stream":
            raise Broken(f"6.1: the stream is {media_type}")
        for name, data in events(stream):
            payload = json.loads(data)
            if name == CONTROL:
                if ("control-uri" in payload) == controlled:
                    raise Broken("6.7.1: the first event, and no other, has the control-uri")
                controlled = True
                active -= set(payload.get("stopped", []))
                active |= set(payload.get("started", []))
                tell({"control": payload})
                continue
            if not controlled:
                raise Broken("6.7.1: the first event is not of control")
            # The data-id has no comma, the media type may have some.
            media_type, _, substream = name.rpartition(",")
            if substream not in active:
                raise Broken(f"5.2: there is no substream {substream!r}")
            if media_type in (MERGE_PATCH, JSON_PATCH):
                if not add[substream].get("incremental-changes", True):
                    raise Broken(f"6.5: {substream} takes no patches")
                if substream not in documents:
                    raise Broken(f"6.7.1: {substream} had no copy before its first patch")
                apply = merge if media_type == MERGE_PATCH else operate
                document = apply(documents[substream], payload)
            else:
                document = payload
            documents[substream] = document
            vtag = document.get("meta", {}).get("vtag")
            if vtag:
                versions.add((vtag["resource-id"], vtag["tag"]))
            for depends in tags(document):
                if depends[0] in followed and depends not in versions:
                    raise Broken(f"6.7.1: {substream} came before the map it is of")
            digest = hashlib.sha256(canonical(document).encode()).hexdigest()
            tell({"substream": substream, "media-type": media_type, "sha256": digest})
    if active:
        raise Broken(f"7.6: the stream ended before {sorted(active)}")
    tell({"documents": documents})


def main():
    try:
        follow(sys.argv[1], json.loads(sys.argv[2]))
    except Broken as broken:
        sys.exit(f"the server broke {broken}")


if __name__ == "__main__":
    main()
