"""Renders the digest as Markdown: volume, headlines, open points."""


def execute(parts):
    volume, headlines, points = parts["volume"], parts["headlines"], parts["points"]
    lines = [f"# Digest: {volume['notes']} notes, {volume['words']} words", ""]
    lines += [f"- {headline}" for headline in headlines]
    lines += ["", f"## Open points ({len(points)})", ""]
    lines += [f"- [ ] {point['point']} ({point['note']})" for point in points]
    return "\n".join(lines) + "\n"
