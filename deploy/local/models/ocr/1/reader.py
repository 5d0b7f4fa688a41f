"""PP-OCRv6 small (ONNX files of the package rapidocr, whose code is not used): finds lines of text and reads them.

Needs numpy and onnxruntime only. A page may lie on a side or on its head, and a little askew.
"""
import importlib.util
import os
import pathlib

import numpy as np
import onnxruntime as ort
from pixels import Image
from regions import Region, regions

WEIGHTS = "models"
DETECTOR = "PP-OCRv6_det_small.onnx"
RECOGNISER = "PP-OCRv6_rec_small.onnx"

# Longest side that is searched, in pixels. Lines are read at the image's own size.
SEARCHED = 1_280
# A smaller image is enlarged to it, twofold at most: letters of ten pixels are hard to find.
LEAST_SEARCHED = 736
MOST_ENLARGED = 2
# The detector halves five times.
MULTIPLE = 32
LINE_HEIGHT = 48
MOST_LINE_WIDTH = 2_400
# Width of the lines of one pass: the recogniser returns 18 000 scores for every eight pixels.
MOST_PASS_WIDTH = 1_600
# Width of all lines of a page together, that bounds the time of a request: some 30 s of a core. A full page of A4 has 100 000.
MOST_WIDTH = 300_000
# Lines that tell whether the page stands on its head, and their mean score if it does not.
TESTED = 4
UPRIGHT = 0.9
# A region higher than wide by this on an upright page is a line that stands.
STANDING = 2.5


class TooMuchText(ValueError):
    """The page has more text than one request may take the time for."""


def package_folder(name):
    """Where a package lies, without importing it: its own imports are not installed."""
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


class Reader:
    def __init__(self):
        options = ort.SessionOptions()
        threads = os.environ.get("MILLRACE_MODEL_THREADS") or max(1, min(2, os.cpu_count() or 1))
        options.intra_op_num_threads = int(threads)
        # A spinning thread pool takes the cores from the other models; an arena would keep the memory of the largest page.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False
        folder = package_folder("rapidocr") / WEIGHTS
        load = lambda name: ort.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])  # noqa: E731
        self.detector, self.recogniser = load(DETECTOR), load(RECOGNISER)
        characters = self.recogniser.get_modelmeta().custom_metadata_map["character"].splitlines()
        # CTC's blank comes first, the space last.
        self.characters = ["", *characters, " "]

    def read(self, rgb):
        """Lines in reading order: corners [n, 4, 2] in pixels of the image, texts, scores."""
        image = Image(rgb)
        lines = directed(self.find(image))
        if sum(width_of(line) for line in lines) > MOST_WIDTH:
            raise TooMuchText(f"IMAGE has {len(lines)} lines, too much text for one request: cut the page into parts")
        if lines and not self.upright(image, lines):
            lines = [turned(line) for line in lines]
        read = self.recognise(image, in_reading_order(lines))
        read = [(line, text, score) for line, text, score in read if text.strip()]
        corners = np.array([line.corners() for line, _, _ in read], np.float32).reshape(-1, 4, 2)
        corners = np.clip(corners, 0, [image.width, image.height]).astype(np.float32)
        return corners, [text.strip() for _, text, _ in read], np.array([score for _, _, score in read], np.float32)

    def find(self, image):
        longest = max(image.width, image.height)
        scale = min(SEARCHED / longest, max(1, LEAST_SEARCHED / longest), MOST_ENLARGED)
        width, height = (max(1, round(side * scale / MULTIPLE)) * MULTIPLE for side in (image.width, image.height))
        feed = normalised(image.resized(width, height))[None]
        (probabilities,) = self.detector.run(None, {self.detector.get_inputs()[0].name: feed})
        across, down = image.width / width, image.height / height
        return [stretched(region, across, down) for region in regions(probabilities[0, 0])]

    def upright(self, image, lines):
        longest = sorted(lines, key=lambda line: -line.width)[:TESTED]
        score = self.mean_score(image, longest)
        return score >= UPRIGHT or score >= self.mean_score(image, [turned(line) for line in longest])

    def mean_score(self, image, lines):
        return float(np.mean([score for _, _, score in self.recognise(image, lines)]))

    def recognise(self, image, lines):
        """Each line with its text and the mean score of its characters."""
        if not lines:
            return []
        widths = [width_of(line) for line in lines]
        answers = [None] * len(lines)
        for group in passes(widths):
            feed = np.zeros((len(group), 3, LINE_HEIGHT, max(widths[i] for i in group)), np.float32)
            for row, i in enumerate(group):
                feed[row, :, :, : widths[i]] = normalised(cut(image, lines[i], widths[i]))
            (scores,) = self.recogniser.run(None, {self.recogniser.get_inputs()[0].name: feed})
            best, certain = scores.argmax(2), scores.max(2)
            for row, i in enumerate(group):
                answers[i] = (lines[i], *self.decoded(best[row], certain[row]))
        return answers

    def decoded(self, best, certain):
        """CTC, best path."""
        kept = (best != 0) & np.concatenate([[True], best[1:] != best[:-1]])
        text = "".join(self.characters[index] for index in best[kept])
        return text, float(certain[kept].mean()) if kept.any() else 0.0


def width_of(line):
    """Of the line as it is read, LINE_HEIGHT pixels high."""
    return min(MOST_LINE_WIDTH, max(16, round(LINE_HEIGHT * line.width / line.height)))


def passes(widths):
    """Groups of lines of like width, for one pass each."""
    group = []
    for i in sorted(range(len(widths)), key=lambda i: widths[i]):
        if group and (len(group) + 1) * widths[i] > MOST_PASS_WIDTH:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def normalised(rgb):
    """As PP-OCR was trained: BGR, -1 to 1, channels first."""
    return np.ascontiguousarray((rgb[:, :, ::-1] / 127.5 - 1).transpose(2, 0, 1), np.float32)


def cut(image, line, width):
    """The line lying flat, as an image of LINE_HEIGHT pixels."""
    across = ((np.arange(width) + 0.5) / width - 0.5) * line.width
    below = ((np.arange(LINE_HEIGHT) + 0.5) / LINE_HEIGHT - 0.5) * line.height
    xs = line.middle[0] + across[None, :] * line.right[0] + below[:, None] * line.down[0]
    ys = line.middle[1] + across[None, :] * line.right[1] + below[:, None] * line.down[1]
    return image.sample(xs - 0.5, ys - 0.5, line.height / LINE_HEIGHT)


def stretched(region, across, down):
    """From pixels of the map to those of the image; sides of the map are multiples, so that the factors differ a little."""
    factor = np.array([across, down])
    right, below = region.right * factor, region.down * factor
    width, height = region.width * np.hypot(*right), region.height * np.hypot(*below)
    right = right / np.hypot(*right)
    return Region((region.middle + 0.5) * factor, right, np.array([-right[1], right[0]]), width, height)


def turned(line):
    """Read from the other end."""
    return Region(line.middle, -line.right, -line.down, line.width, line.height)


def quarter(line):
    """Read from top to bottom."""
    return Region(line.middle, line.down, -line.right, line.height, line.width)


def directed(found):
    """All lines of a page that lies on its side are read along the other side; on an upright page those that stand."""
    lying = sum(region.width for region in found if region.width >= region.height)
    standing = sum(region.height for region in found if region.height > region.width)
    if standing > lying:
        return [quarter(region) for region in found]
    return [quarter(region) if region.height > STANDING * region.width else region for region in found]


def in_reading_order(lines):
    """Rows from top to bottom, and within a row from left to right, by the direction of most lines."""
    if not lines:
        return []
    longest = sorted(lines, key=lambda line: -line.width)[: max(1, len(lines) // 2)]
    right = np.median([line.right for line in longest], axis=0)
    right = right / (np.hypot(*right) or 1)
    down = np.array([-right[1], right[0]])
    rows = []
    for line in sorted(lines, key=lambda line: line.middle @ down):
        last = rows[-1][-1] if rows else None
        apart = (line.middle - last.middle) @ down if last else 0
        if last and apart < min(line.height, last.height) / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.middle @ right)]
