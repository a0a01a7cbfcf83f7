"""Strict comparison of JSON and XML documents with botocore's service models.

botocore's own validator checks less than its models say (no maximum, enum or pattern), and its parsers drop what they
do not know. A server that must answer exactly as AWS does needs the opposite: every difference is a problem.
"""

import base64
import binascii
import datetime
import functools
import re
import xml.etree.ElementTree as ElementTree

import botocore.loaders
import botocore.model

# Shapes whose pattern Python's `re` cannot read (other classes of Unicode); a report names them, so that nobody takes them for checked.
unread_patterns = set()


@functools.cache
def service(name):
    """The newest service model that botocore has for `ecs`, `codepipeline`, `s3`, ..."""
    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(name, "service-2"), name)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def wire_name(name, shape):
    return shape.serialization.get("name", name)


def body_members(shape):
    """The members that travel in the body, by their name on the wire; headers and the path carry the others."""
    return {
        wire_name(name, member): (name, member)
        for name, member in shape.members.items()
        if member.serialization.get("location") in (None, "body")
    }


def walk(value, shape, path="$"):
    """Every way in which a JSON value differs from its shape, as `path: what is wrong`."""
    if value is None:
        return [f"{path}: null, where AWS leaves the member out"]
    check = CHECKS.get(shape.type_name)
    if check is None:
        return [f"{path}: no check for a shape of type {shape.type_name}"]
    return check(value, shape, path)


def walk_structure(value, shape, path):
    if getattr(shape, "is_document_type", False):
        return []
    if not isinstance(value, dict):
        return [f"{path}: {kind(value)} instead of an object ({shape.name})"]
    members = body_members(shape)
    problems = [f"{path}: unknown member `{name}` in {shape.name}" for name in value if name not in members]
    for name, (model_name, member) in members.items():
        if name in value:
            problems += walk(value[name], member, f"{path}.{name}")
        elif model_name in shape.required_members:
            problems.append(f"{path}: required member `{name}` of {shape.name} is missing")
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        problems.append(f"{path}: a union with {len(value)} members ({shape.name})")
    return problems


def walk_list(value, shape, path):
    if not isinstance(value, list):
        return [f"{path}: {kind(value)} instead of a list ({shape.name})"]
    problems = bounds(len(value), shape, path, "items")
    for index, item in enumerate(value):
        problems += walk(item, shape.member, f"{path}[{index}]")
    return problems


def walk_map(value, shape, path):
    if not isinstance(value, dict):
        return [f"{path}: {kind(value)} instead of a map ({shape.name})"]
    problems = bounds(len(value), shape, path, "entries")
    for key, item in value.items():
        problems += walk(key, shape.key, f"{path} key")
        problems += walk(item, shape.value, f"{path}.{key}")
    return problems


def walk_string(value, shape, path):
    if not isinstance(value, str):
        return [f"{path}: {kind(value)} instead of a string ({shape.name})"]
    problems = bounds(len(value), shape, path, "characters")
    if shape.enum and value not in shape.enum:
        problems.append(f"{path}: `{value}` is not one of {shape.name}")
    pattern = shape.metadata.get("pattern")
    if pattern and not matches(pattern, value):
        problems.append(f"{path}: `{value}` does not match {pattern} ({shape.name})")
    return problems


def walk_integer(value, shape, path):
    if not isinstance(value, int) or isinstance(value, bool):
        return [f"{path}: {kind(value)} instead of an integer ({shape.name})"]
    if shape.type_name == "integer" and not -(2**31) <= value < 2**31:
        return [f"{path}: {value} does not fit 32 bits ({shape.name})"]
    return bounds(value, shape, path, "")


def walk_float(value, shape, path):
    if not is_number(value) and value not in ("NaN", "Infinity", "-Infinity"):
        return [f"{path}: {kind(value)} instead of a number ({shape.name})"]
    return bounds(value, shape, path, "") if is_number(value) else []


def walk_boolean(value, shape, path):
    return [] if isinstance(value, bool) else [f"{path}: {kind(value)} instead of a boolean ({shape.name})"]


# 2014, before the first of these services, to 2100: an epoch in milliseconds lies far outside.
EPOCH = range(1388534400, 4102444800)


def walk_timestamp(value, shape, path):
    """awsJson writes timestamps as seconds since 1970, a number; ISO strings are a typical slip of fake servers."""
    if isinstance(value, datetime.datetime):
        return []
    if not is_number(value):
        return [f"{path}: {kind(value)} instead of epoch seconds ({shape.name})"]
    if int(value) not in EPOCH:
        return [f"{path}: {value} is no plausible time in seconds since 1970 ({shape.name})"]
    return []


def walk_blob(value, shape, path):
    if isinstance(value, bytes):
        return bounds(len(value), shape, path, "bytes")
    if not isinstance(value, str):
        return [f"{path}: {kind(value)} instead of base64 ({shape.name})"]
    try:
        return bounds(len(base64.b64decode(value, validate=True)), shape, path, "bytes")
    except binascii.Error as error:
        return [f"{path}: not base64: {error} ({shape.name})"]


CHECKS = {
    "structure": walk_structure,
    "list": walk_list,
    "map": walk_map,
    "string": walk_string,
    "character": walk_string,
    "integer": walk_integer,
    "long": walk_integer,
    "float": walk_float,
    "double": walk_float,
    "boolean": walk_boolean,
    "timestamp": walk_timestamp,
    "blob": walk_blob,
}


def kind(value):
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if is_number(value) else type(value).__name__)


def bounds(size, shape, path, unit):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    what = f"{size} {unit}".strip()
    if low is not None and size < low:
        return [f"{path}: {what}, at least {low} ({shape.name})"]
    if high is not None and size > high:
        return [f"{path}: {what}, at most {high} ({shape.name})"]
    return []


def matches(pattern, value):
    # Letters, numbers and separators of Unicode, in the nearest words that `re` has; they stand inside brackets only.
    for theirs, ours in ((r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s")):
        pattern = pattern.replace(theirs, ours)
    try:
        return re.search(pattern, value) is not None
    except re.error:
        unread_patterns.add(pattern)
        return True


# --- XML and query strings -------------------------------------------------------------------------------------------


def local(tag):
    return tag.rsplit("}", 1)[-1]


def scalar(text, shape, path, problems):
    """The typed value of a text, as JSON would hold it; a text that is not of its type is a problem."""
    text = text or ""
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text]
            case "timestamp":
                return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
            case _:
                return text
    except (KeyError, ValueError):
        problems.append(f"{path}: `{text}` is no {shape.type_name} ({shape.name})")
        return None


def from_xml(element, shape, path="$"):
    """An element as the JSON value that `walk` checks, and what cannot be read on the way."""
    problems = []
    match shape.type_name:
        case "structure":
            value = xml_structure(element, shape, path, problems)
        case "list":
            name = shape.member.serialization.get("name", "member")
            value = []
            for index, child in enumerate(element):
                if local(child.tag) != name:
                    problems.append(f"{path}: `{local(child.tag)}` in a list of `{name}` ({shape.name})")
                value.append(nested(child, shape.member, f"{path}[{index}]", problems))
        case "map":
            value = {}
            for entry in element:
                key, item = (next((c for c in entry if local(c.tag) == n), None) for n in ("key", "value"))
                if key is None or item is None:
                    problems.append(f"{path}: an entry without key or value ({shape.name})")
                    continue
                value[key.text or ""] = nested(item, shape.value, f"{path}.{key.text}", problems)
        case _:
            if len(element):
                problems.append(f"{path}: elements inside a {shape.type_name} ({shape.name})")
            value = scalar(element.text, shape, path, problems)
    return value, problems


def nested(element, shape, path, problems):
    value, more = from_xml(element, shape, path)
    problems += more
    return value


def xml_structure(element, shape, path, problems):
    members = body_members(shape)
    value = {}
    for child in element:
        name = local(child.tag)
        if name not in members:
            problems.append(f"{path}: unknown element `{name}` in {shape.name}")
            continue
        member = members[name][1]
        if member.type_name == "list" and member.serialization.get("flattened"):
            inside = value.setdefault(name, [])
            inside.append(nested(child, member.member, f"{path}.{name}[{len(inside)}]", problems))
        elif name in value:
            problems.append(f"{path}: element `{name}` twice in {shape.name}")
        else:
            value[name] = nested(child, member, f"{path}.{name}", problems)
    for name, (_, member) in list(members.items()):
        if member.serialization.get("xmlAttribute"):
            attribute = next((v for k, v in element.attrib.items() if local(k) == name.split(":")[-1]), None)
            if attribute is not None:
                value[name] = attribute
    return value


def walk_xml(element, shape, path="$"):
    value, problems = from_xml(element, shape, path)
    return problems or walk(value, shape, path)


def parse_xml(text):
    return ElementTree.fromstring(text)


def walk_query(pairs, shape, path="$"):
    """Problems of a query-protocol request: `pairs` are its parameters without `Action` and `Version`."""
    tree = {}
    for key, text in pairs:
        place = tree
        for part in key.split("."):
            place = place.setdefault(part, {})
        place[""] = text
    problems = []
    value = from_query(tree, shape, path, problems)
    return problems or walk(value, shape, path)


def from_query(tree, shape, path, problems):
    match shape.type_name:
        case "structure":
            members = body_members(shape)
            value = {}
            for name, inside in tree.items():
                if name not in members:
                    problems.append(f"{path}: unknown parameter `{name}` in {shape.name}")
                else:
                    value[name] = from_query(inside, members[name][1], f"{path}.{name}", problems)
            return value
        case "list":
            name = shape.member.serialization.get("name", "member")
            items = tree if shape.serialization.get("flattened") else tree.get(name, {})
            if items.get("") == "" or tree.get("") == "":
                return []
            numbers = sorted(int(n) for n in items if n.isdigit())
            if numbers != list(range(1, len(items) + 1)) or (items is not tree and len(tree) != 1):
                problems.append(f"{path}: not a list of `{name}.1`, `{name}.2`, ... ({shape.name})")
                return []
            return [from_query(items[str(n)], shape.member, f"{path}[{n - 1}]", problems) for n in numbers]
        case "map":
            entries = tree.get("entry", {})
            return {
                entry["key"][""]: from_query(entry["value"], shape.value, f"{path}.{entry['key']['']}", problems)
                for entry in entries.values()
            }
        case _:
            if list(tree) != [""]:
                problems.append(f"{path}: parameters below a {shape.type_name} ({shape.name})")
            return scalar(tree.get("", ""), shape, path, problems)
