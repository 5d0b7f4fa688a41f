import type { Pixels } from '../../../media/index.js';
import type { Tensor } from '../../../protocols/open-inference/index.js';
import type { BoundOutput } from './bind.js';
import { wrongOutput } from './encode.js';
import type { Numbers } from './numbers.js';

/** In pixels of the image given, from its top left. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

type Corners = readonly [left: number, top: number, right: number, bottom: number];

/** The boxes of a tensor [n, 4], or of corners of quadrilaterals [n, 4, 2], in the image as it was given. */
export function boxesOf(bound: BoundOutput, { shape }: Tensor, values: Numbers, pixels: Pixels | undefined): Box[] {
  const quads = shape.at(-1) === 2 && shape.at(-2) === 4;
  const width = quads ? 8 : 4;
  if (!quads && shape.at(-1) !== 4 && values.length > 0) {
    throw wrongOutput(bound.name, `shape [${shape}] is not of boxes: the last dimension must be 4`);
  }
  return Array.from({ length: Math.floor(values.length / width) }, (_, i) => {
    const own = [...values.subarray(i * width, (i + 1) * width)];
    return placed(quads ? around(own) : cornersOf(own, bound.box ?? 'xyxy'), bound.unit ?? 'input', pixels);
  });
}

function cornersOf([a = 0, b = 0, c = 0, d = 0]: readonly number[], form: NonNullable<BoundOutput['box']>): Corners {
  if (form === 'xyxy') return [a, b, c, d];
  if (form === 'xywh') return [a, b, a + c, b + d];
  return [a - c / 2, b - d / 2, a + c / 2, b + d / 2];
}

/** The upright box around four points. */
function around(points: readonly number[]): Corners {
  const [xs, ys] = [points.filter((_, i) => i % 2 === 0), points.filter((_, i) => i % 2 === 1)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** From the model's coordinates to those of the image given, and within it. */
function placed(corners: Corners, unit: NonNullable<BoundOutput['unit']>, pixels: Pixels | undefined): Box {
  const [left, top, right, bottom] = unit === 'source' || !pixels ? corners : fromInput(corners, unit, pixels);
  const { width = Number.POSITIVE_INFINITY, height = Number.POSITIVE_INFINITY } = pixels?.source ?? {};
  const within = (value: number, most: number) => Math.min(most, Math.max(0, value));
  const [x, y] = [within(left, width), within(top, height)];
  return {
    x: rounded(x),
    y: rounded(y),
    width: rounded(within(right, width) - x),
    height: rounded(within(bottom, height) - y),
  };
}

function fromInput(corners: Corners, unit: 'input' | 'share', { width, height, placed: at }: Pixels): Corners {
  const [w, h] = unit === 'share' ? [width, height] : [1, 1];
  const [left, top, right, bottom] = corners;
  const across = (x: number) => (x * w - at.left) / at.across;
  const down = (y: number) => (y * h - at.top) / at.down;
  return [across(left), down(top), across(right), down(bottom)];
}

/** A hundredth of a pixel is more than any model knows. */
const rounded = (value: number): number => Math.round(value * 100) / 100;

interface Scored {
  readonly label: string;
  readonly score: number;
  readonly box?: Box | undefined;
}

/**
 * Non-maximum suppression: of boxes of one label that overlap by more than `most` (intersection over union) only the
 * best is kept. Best first.
 */
export function suppressed<T extends Scored>(found: readonly T[], most: number): T[] {
  const kept: T[] = [];
  for (const each of found.toSorted((a, b) => b.score - a.score)) {
    if (!kept.some((other) => other.label === each.label && overlap(other.box, each.box) > most)) kept.push(each);
  }
  return kept;
}

function overlap(a: Box | undefined, b: Box | undefined): number {
  if (!a || !b) return 0;
  const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (across <= 0 || down <= 0) return 0;
  const both = across * down;
  return both / (a.width * a.height + b.width * b.height - both);
}
