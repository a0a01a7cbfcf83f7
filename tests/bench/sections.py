"""A page that several benchmarks write, each its own sections: `## Heading` and what follows it."""

import os


def read(path):
    """The page's sections in order, by heading; what is before the first has the heading ''."""
    sections = {"": []}
    heading = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file.read().splitlines():
                if line.startswith("## "):
                    heading = line.removeprefix("## ")
                    sections[heading] = []
                sections[heading].append(line)
    return {heading: "\n".join(lines).strip("\n") for heading, lines in sections.items()}


def write(path, new):
    """Replaces or adds sections, and leaves the others."""
    sections = read(path) | {heading: text.strip("\n") for heading, text in new.items()}
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n\n".join(text for text in sections.values() if text) + "\n")


def of(text):
    """The sections of a text."""
    sections = {}
    for number, part in enumerate(("\n" + text).split("\n## ")):
        sections[part.split("\n", 1)[0] if number else ""] = ("## " if number else "") + part
    return sections
