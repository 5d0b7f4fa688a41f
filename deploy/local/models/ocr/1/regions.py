"""From a map of probabilities to rectangles, in any direction: what lies together is one line of text."""
from dataclasses import dataclass

import numpy as np

# As PP-OCR's own decoding: what counts as text, what as a line, and by how much the map is smaller than the text.
PIXEL = 0.3
REGION = 0.6
UNCLIP = 1.6
MIN_SIDE = 3
MOST_REGIONS = 1_000


@dataclass
class Region:
    """A rectangle: its middle, the directions of its sides (length 1, at right angles) and how long these are."""

    middle: np.ndarray
    right: np.ndarray
    down: np.ndarray
    width: float
    height: float

    def corners(self):
        across, below = self.right * self.width / 2, self.down * self.height / 2
        m = self.middle
        return np.array([m - across - below, m + across - below, m + across + below, m - across + below])


def regions(probabilities):
    """Rectangles around the text, in pixels of the map; the right side is the one that is nearer to horizontal."""
    mask = probabilities > PIXEL
    # One pixel more to the right and below joins letters that almost touch.
    mask[:, 1:] |= mask[:, :-1].copy()
    mask[1:] |= mask[:-1].copy()
    sums = np.pad(probabilities.cumsum(1, dtype=np.float64), ((0, 0), (1, 0)))
    found = []
    for rows, starts, ends in components(mask):
        mean = (sums[rows, ends] - sums[rows, starts]).sum() / (ends - starts).sum()
        if mean < REGION:
            continue
        points = np.concatenate([np.stack([starts, rows], 1), np.stack([ends - 1, rows], 1)]).astype(np.float64)
        region = smallest_rectangle(hull(points))
        if min(region.width, region.height) < MIN_SIDE:
            continue
        margin = region.width * region.height * UNCLIP / (2 * (region.width + region.height))
        region.width += 2 * margin
        region.height += 2 * margin
        found.append((mean, region))
    found.sort(key=lambda each: -each[0])
    return [region for _, region in found[:MOST_REGIONS]]


def components(mask):
    """What is connected: rows, first columns and ends of its runs of pixels."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    parent = list(range(len(rows)))

    def root(i):
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first = np.searchsorted(rows, np.arange(mask.shape[0] + 1)).tolist()
    begin, end = starts.tolist(), ends.tolist()
    for row in range(1, mask.shape[0]):
        above, here = first[row - 1], first[row]
        while above < first[row] and here < first[row + 1]:
            # Touching at a corner counts.
            if begin[above] <= end[here] and begin[here] <= end[above]:
                parent[root(here)] = root(above)
            if end[above] < end[here]:
                above += 1
            else:
                here += 1
    roots = np.array([root(i) for i in range(len(rows))], dtype=np.int64)
    order = np.argsort(roots, kind="stable")
    cuts = np.nonzero(np.diff(roots[order]))[0] + 1
    return [(rows[group], starts[group], ends[group]) for group in np.split(order, cuts) if len(group)]


def hull(points):
    """The convex hull (monotone chain)."""
    points = np.unique(points, axis=0)
    if len(points) < 3:
        return points

    def half(ordered):
        chain = []
        for point in ordered:
            while len(chain) > 1 and turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        return chain[:-1]

    listed = points.tolist()
    return np.array(half(listed) + half(listed[::-1]))


def turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def smallest_rectangle(points):
    """Of all rectangles around the points, of which one side lies on a side of the hull, that of the least area."""
    sides = np.diff(np.concatenate([points, points[:1]]), axis=0)
    lengths = np.hypot(sides[:, 0], sides[:, 1])
    sides = np.concatenate([sides[lengths > 0] / lengths[lengths > 0, None], [[1.0, 0.0]]])
    # Each direction once, as the one that points right and is nearer to horizontal than to vertical.
    steep = np.abs(sides[:, 1]) > np.abs(sides[:, 0])
    sides[steep] = sides[steep][:, ::-1] * [1, -1]
    sides *= np.where(sides[:, :1] < 0, -1, 1)
    across = points @ sides.T
    below = points @ np.stack([-sides[:, 1], sides[:, 0]])
    widths, heights = np.ptp(across, 0) + 1, np.ptp(below, 0) + 1
    best = int(np.argmin(widths * heights))
    right = sides[best]
    down = np.array([-right[1], right[0]])
    middle = right * (across[:, best].max() + across[:, best].min()) / 2
    middle = middle + down * (below[:, best].max() + below[:, best].min()) / 2
    return Region(middle, right, down, float(widths[best]), float(heights[best]))
