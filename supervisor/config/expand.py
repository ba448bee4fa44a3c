"""Expansion of ``${X}`` in strings, from the environment the daemon was given.

The forms are ``${X}``, ``${X:-default}`` (default when unset or empty), ``${X:?message}`` (a problem when unset or
empty) and ``$$`` for a dollar. A lone ``$`` and ``$X`` stay as they are: they are common in arguments meant for a
shell or an awk program. What was put in is not searched again, and forms do not nest. No message here ever repeats
what a variable holds: it may be a secret.
"""

from supervisor.config.problems import Place

_NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
_FORMS = "${NAME}, ${NAME:-default} or ${NAME:?message}"


def expand(text: str, at: Place, *, keep_pairs: bool = False) -> str:
    """The text with its variables put in.

    Args:
        text: the text.
        at: its place.
        keep_pairs: ``$$`` is a dollar only before ``{``, and stays as it is elsewhere: a shell's own pid.

    Raises:
        Invalid: a form is malformed, or a variable without default is not set; noted at ``at``.
    """
    parts: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        parts.append(text[position:dollar])
        following = text[dollar + 1 : dollar + 2]
        if keep_pairs and following == "$" and text[dollar + 2 : dollar + 3] != "{":
            parts.append("$$")
            position = dollar + 2
        elif following == "{":
            end = text.find("}", dollar)
            if end < 0:
                raise at.refuse('"${" is never closed; allowed: ' + _FORMS + ', or "$${" for the characters themselves')
            parts.append(_lookup(text[dollar + 2 : end], at))
            position = end + 1
        else:
            parts.append("$")
            position = dollar + (2 if following == "$" else 1)
    parts.append(text[position:])
    return "".join(parts)


def _lookup(body: str, at: Place) -> str:
    """Value of what stands between the braces."""
    name = body[: len(body) - len(body.lstrip(_NAME_CHARACTERS))]
    operator, operand = body[len(name) : len(name) + 2], body[len(name) + 2 :]
    if not name or name[0].isdigit() or operator not in ("", ":-", ":?"):
        raise at.refuse(f'found "${{{body[: len(name) + 1]}"; allowed: {_FORMS}')
    if operator == ":-" and "{" in operand:
        raise at.refuse(f'the default of ${{{name}:-...}} holds "{{"; expansions do not nest')
    value = at.scope.environ.get(name)
    if value or (value is not None and not operator):
        return value
    if operator == ":-":
        return operand.replace("$$", "$")
    state = "is not set" if value is None else "is empty"
    if operator == ":?":
        raise at.refuse(f"the environment variable {name} {state}" + (f": {operand}" if operand else ""))
    raise at.refuse(f"the environment variable {name} {state}; set it, or give a default: ${{{name}:-default}}")
