"""Words with their times as sentences."""

ENDS = (".", "?", "!", "…")
# A pause that ends a sentence without its full stop, in seconds.
PAUSE = 0.6


def sentences(words):
    """From words as (start, end, text), of which a text begins with a space if the word does, to what SEGMENTS holds."""
    found = []
    for word in words:
        last = found[-1][-1] if found else None
        if last is None or last[2].rstrip("\"')”’").endswith(ENDS) or word[0] - last[1] >= PAUSE:
            found.append([])
        found[-1].append(word)
    return [
        {
            "start": timed(group[0][0]),
            "end": timed(group[-1][1]),
            "text": "".join(text for _, _, text in group).strip(),
            "words": [{"start": timed(start), "end": timed(end), "text": text.strip()} for start, end, text in group],
        }
        for group in found
    ]


def timed(seconds):
    return round(max(0.0, seconds), 2)
