"""Sampling of an image at any points, with numpy alone."""
import numpy as np


class Image:
    """RGB, with copies of half the size each, so that a small sample is a mean of pixels and not every third of them."""

    def __init__(self, rgb):
        self.levels = [rgb]
        while min(self.levels[-1].shape[:2]) >= 64 and len(self.levels) < 6:
            self.levels.append(halved(self.levels[-1]))
        self.height, self.width = rgb.shape[:2]

    def sample(self, xs, ys, step):
        """Colours at points of the whole image that lie `step` pixels apart: float32, 0 to 255."""
        level = min(max(0, int(np.floor(np.log2(max(step, 1.0))))), len(self.levels) - 1)
        rgb = self.levels[level]
        scale = 0.5**level
        height, width = rgb.shape[:2]
        xs = np.clip((xs + 0.5) * scale - 0.5, 0, width - 1).astype(np.float32)
        ys = np.clip((ys + 0.5) * scale - 0.5, 0, height - 1).astype(np.float32)
        left, top = xs.astype(np.int32), ys.astype(np.int32)
        right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
        across, down = (xs - left)[..., None], (ys - top)[..., None]
        upper = rgb[top, left] * (1 - across) + rgb[top, right] * across
        lower = rgb[below, left] * (1 - across) + rgb[below, right] * across
        return upper * (1 - down) + lower * down

    def resized(self, width, height):
        xs = (np.arange(width) + 0.5) * self.width / width - 0.5
        ys = (np.arange(height) + 0.5) * self.height / height - 0.5
        step = max(self.width / width, self.height / height)
        return self.sample(*np.meshgrid(xs, ys), step)


def halved(rgb):
    height, width = rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2
    four = rgb[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).astype(np.uint16)
    return ((four.sum((1, 3)) + 2) // 4).astype(np.uint8)
