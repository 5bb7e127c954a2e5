"""Shows arguments and fields in the reference; an extension of griffe, for mkdocstrings.

DAF's docstrings explain arguments and fields as prose, `name: meaning.` A sentence that starts with names of the
function's parameters or of the class's fields, and a colon, becomes an item; everything else stays as it is. The fields
of configuration classes become a table, with types, defaults, bounds and descriptions.
"""

import ast
import re

import griffe

_NAMES = r"[a-z_]\w*(?:(?:, | and )[a-z_]\w*)*"
_START = re.compile(rf"(?:^|(?<=[.;)`]\s)|(?<=\n))({_NAMES}): ")


class DocstringFields(griffe.Extension):
    """Rewrites the docstrings of functions and classes after they are loaded."""

    def on_function(self, *, func: griffe.Function, **kwargs: object) -> None:
        if func.docstring is not None:
            func.docstring.value = listed(func.docstring.value, {parameter.name for parameter in func.parameters})

    def on_class(self, *, cls: griffe.Class, **kwargs: object) -> None:
        if cls.docstring is not None:
            names = {name for name, member in cls.members.items() if member.is_attribute}
            if isinstance(start := cls.members.get("__init__"), griffe.Function):
                names |= {parameter.name for parameter in start.parameters}
            cls.docstring.value = listed(cls.docstring.value, names) + _table(cls)


def listed(text: str, names: set[str]) -> str:
    """`text` with its explanations of `names` as a Markdown list."""
    paragraphs = []
    for paragraph in text.split("\n\n"):
        starts = [found for found in _START.finditer(paragraph) if set(re.split(r", | and ", found[1])) & names]
        if not starts or paragraph.lstrip().startswith(("-", "    ", ">>>")):
            paragraphs.append(paragraph)
            continue
        if before := paragraph[: starts[0].start()].strip():
            paragraphs.append(before)
        ends = [found.start() for found in starts[1:]] + [len(paragraph)]
        items = []
        for found, end in zip(starts, ends, strict=True):
            shown = re.sub(r"\w+(?=,|$| and )", lambda name: f"`{name[0]}`", found[1])
            body, rest = _of_item(paragraph[found.end() : end].strip(), last=end == len(paragraph))
            items.append(f"- {shown}: " + " ".join(body.split()))
        paragraphs.append("\n".join(items))
        if rest:
            paragraphs.append(rest)
    return "\n\n".join(paragraphs)


def _table(cls: griffe.Class) -> str:
    """The fields of a configuration class; nothing for others, whose signature has them."""
    if not any(str(base).endswith(("ConfigModel", "Config")) for base in cls.bases):
        return ""
    rows = []
    for name, field in cls.members.items():
        if (
            not isinstance(field, griffe.Attribute)
            or field.annotation is None
            or name.startswith("_")
            or name == "kind"
        ):
            continue
        if "property" in field.labels:
            continue
        kind = str(field.annotation)
        default, bounds, meaning = field_of(None if field.value is None else str(field.value))
        cells = [
            f"`{name}`",
            f"`{kind}`" + (f" {bounds}" if bounds else ""),
            f"`{default}`" if default else "",
            meaning,
        ]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if not rows:
        return ""
    return "\n\n| field | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def field_of(value: str | None) -> tuple[str, str, str]:
    """The default, the bounds and the description of a field, from what it is assigned; empty where it has none."""
    if value is None:
        return "", "", ""
    call = ast.parse(value, mode="eval").body
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Field"):
        return value, "", ""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    default = ast.unparse(call.args[0]) if call.args else ast.unparse(given["default"]) if "default" in given else ""
    if isinstance(made := given.get("default_factory"), ast.Name):
        default = {"list": "[]", "dict": "{}"}.get(made.id, f"{made.id}()")
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = ", ".join(f"{sign} {ast.unparse(given[name])}" for name, sign in signs.items() if name in given)
    meaning = given.get("description")
    return default, bounds, str(ast.literal_eval(meaning)) if meaning is not None else ""


def _of_item(text: str, *, last: bool) -> tuple[str, str]:
    """The text of an item, and what follows the list: a last item ends where a line starts a new sentence."""
    if last and (found := re.search(r"\.\n(?=[A-Z`])", text)):
        return text[: found.start() + 1], text[found.end() :]
    return text, ""
