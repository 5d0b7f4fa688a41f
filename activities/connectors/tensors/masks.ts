import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { deflate } from 'node:zlib';
import { grayPng, type Pixels, pngRowBytes } from '../../../media/index.js';
import type { Artifact } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { CODECS, isDtype, sizeOf, type Tensor } from '../../../protocols/open-inference/index.js';
import type { CallContext } from '../connector.js';
import type { BoundOutput } from './bind.js';
import type { Box } from './boxes.js';
import { wrongOutput } from './encode.js';
import { type Numbers, numbersOf } from './numbers.js';

/** The longer side of a mask, in pixels: 128 kB of bits at most. */
const LONGEST_SIDE = 1_024;
const MOST_MASKS = 100;
/** Elements of one mask of a model; as numbers they take up to eight times as many bytes. */
const MOST_ELEMENTS = 4_096 * 4_096;
/** A mask covers what has at least this value, unless the map says otherwise. */
const THRESHOLD = 0.5;

/** Longest work in one turn of the event loop, in milliseconds: a mask of a million pixels takes some times as long. */
const TURN_MS = 10;

const deflated = promisify(deflate);

interface Masked {
  /** Its place in the model's list. */
  readonly row: number;
  readonly box?: Box;
  /** Of prototypes, where the model's masks are these. */
  readonly weights?: () => Numbers;
}

export type MaskContext = Pick<CallContext, 'artifacts' | 'signal'>;

/**
 * Masks of detections as PNG files of one bit a pixel, white where the thing is. Each covers the whole image that was given, in its size or
 * with 1,024 pixels on the longer side. Only the first ones of `all` get one, as many as the map's `most` says.
 * @param count rows of the tensor
 */
export async function masksOf(
  [bound, tensor]: readonly [BoundOutput, Tensor],
  all: readonly Masked[],
  { count, pixels }: { readonly count: number; readonly pixels?: Pixels | undefined },
  context: MaskContext,
): Promise<Artifact[]> {
  const { artifacts } = context;
  if (!artifacts) throw new MillraceError('INTERNAL', 'this host has no artifacts');
  const weighed = all.some(({ weights }) => weights !== undefined);
  const gridOf = weighed ? prototypes(bound, tensor) : rows(bound, tensor, count);
  const least = thresholdOf(weighed ? { activation: 'sigmoid', ...bound } : bound);
  const made: Artifact[] = [];
  for (const masked of all.slice(0, bound.most ?? MOST_MASKS)) {
    context.signal.throwIfAborted();
    const grid = gridOf(masked);
    const frame = frameOf(bound, grid, pixels, masked.box);
    made.push(await artifacts.write(await pngOf(grid, frame, least), { type: 'image/png' }));
  }
  return made;
}

/** The values of one mask, row by row. */
interface Grid {
  readonly values: Numbers;
  readonly width: number;
  readonly height: number;
}

/** Reads one mask of a tensor [n, height, width], which may have dimensions of 1 besides. */
function rows(bound: BoundOutput, tensor: Tensor, count: number): (masked: Masked) => Grid {
  const { shape, datatype, raw } = tensor;
  const [height = 0, width = 0] = shape.slice(-2);
  const elements = width * height;
  const bytes = isDtype(datatype) && datatype !== 'BYTES' ? elements * CODECS[datatype].width : 0;
  if (shape.length < 3 || sizeOf(shape) !== count * elements || bytes === 0 || raw.length !== count * bytes) {
    throw wrongOutput(bound.name, `${datatype} of shape [${shape}] is not of ${count} masks, [n, height, width]`);
  }
  if (elements > MOST_ELEMENTS) throw wrongOutput(bound.name, `masks of ${width} × ${height}; at most 4096 × 4096`);
  return ({ row }) => {
    const own = { ...tensor, shape: [height, width], raw: raw.subarray(row * bytes, (row + 1) * bytes) };
    return { values: numbersOf(own), width, height };
  };
}

/** Masks that are sums of prototypes [k, height, width], weighed by each detection's coefficients (YOLACT, arXiv:1904.02689). */
function prototypes(bound: BoundOutput, tensor: Tensor): (masked: Masked) => Grid {
  const [height = 0, width = 0] = tensor.shape.slice(-2);
  const elements = width * height;
  if (elements === 0 || sizeOf(tensor.shape) > MOST_ELEMENTS) {
    throw wrongOutput(bound.name, `shape [${tensor.shape}] is not of prototypes of masks, [k, height, width]`);
  }
  const values = numbersOf(tensor);
  return ({ weights }) => {
    const own = weights?.() ?? [];
    if (own.length * elements !== values.length) {
      throw wrongOutput(bound.name, `shape [${tensor.shape}] is not of ${own.length} prototypes of masks`);
    }
    const sum = new Float64Array(elements);
    for (const [k, weight] of own.entries()) {
      for (let i = 0; i < elements; i++) sum[i] = (sum[i] as number) + weight * (values[k * elements + i] as number);
    }
    return { values: sum, width, height };
  };
}

/** The picture that is made, and where its pixels are in the model's mask. */
interface Frame {
  readonly width: number;
  readonly height: number;
  /** Columns and rows that may be white: from, up to and without. */
  readonly columns: readonly [number, number];
  readonly rows: readonly [number, number];
  readonly across: (x: number) => number;
  readonly down: (y: number) => number;
}

function frameOf(
  { name, covers = 'input' }: BoundOutput,
  grid: Grid,
  pixels: Pixels | undefined,
  box: Box | undefined,
): Frame {
  // Without pixels the model got the file as it is: its masks are of that image.
  const source = pixels?.source ?? grid;
  if (covers === 'box' && !pixels) {
    throw wrongOutput(name, 'masks of boxes need the image’s size, which only an image that is sent as pixels has');
  }
  const by = Math.min(1, LONGEST_SIDE / Math.max(source.width, source.height));
  const size = {
    width: Math.max(1, Math.round(source.width * by)),
    height: Math.max(1, Math.round(source.height * by)),
  };
  const [perX, perY] = [source.width / size.width, source.height / size.height];
  const within = (from: number, length: number, per: number, most: number): [number, number] => [
    Math.max(0, Math.floor(from / per)),
    Math.min(most, Math.ceil((from + length) / per)),
  ];
  const area = {
    columns: box ? within(box.x, box.width, perX, size.width) : ([0, size.width] as const),
    rows: box ? within(box.y, box.height, perY, size.height) : ([0, size.height] as const),
  };
  const place = placeOf(covers, grid, pixels, box);
  return {
    ...size,
    ...area,
    across: (x) => place.x((x + 0.5) * perX) - 0.5,
    down: (y) => place.y((y + 0.5) * perY) - 0.5,
  };
}

/** From the image given to the model's mask, both in pixels. */
function placeOf(covers: 'input' | 'box', grid: Grid, pixels: Pixels | undefined, box: Box | undefined) {
  if (covers === 'box' && box) {
    return {
      x: (x: number) => ((x - box.x) / box.width) * grid.width,
      y: (y: number) => ((y - box.y) / box.height) * grid.height,
    };
  }
  if (!pixels) return { x: (x: number) => x, y: (y: number) => y };
  const { placed, width, height } = pixels;
  return {
    x: (x: number) => ((x * placed.across + placed.left) / width) * grid.width,
    y: (y: number) => ((y * placed.down + placed.top) / height) * grid.height,
  };
}

/** The least value in the model's numbers: those of a logit are compared as they are. */
function thresholdOf({ activation, threshold = THRESHOLD }: Pick<BoundOutput, 'activation' | 'threshold'>): number {
  return activation === 'sigmoid' ? Math.log(threshold / (1 - threshold)) : threshold;
}

async function pngOf(grid: Grid, frame: Frame, least: number): Promise<Buffer> {
  const { width, height, columns, rows: lines } = frame;
  const format = { width, height, depth: 1 } as const;
  const stride = pngRowBytes(format);
  const raw = Buffer.alloc(stride * height);
  let turn = performance.now();
  for (let y = lines[0]; y < lines[1]; y++) {
    if (performance.now() - turn > TURN_MS) {
      await nextTurn();
      turn = performance.now();
    }
    const v = frame.down(y);
    for (let x = columns[0]; x < columns[1]; x++) {
      if (valueAt(grid, frame.across(x), v) >= least) {
        const at = y * stride + 1 + (x >> 3);
        raw[at] = (raw[at] as number) | (0x80 >> (x & 7));
      }
    }
  }
  return grayPng(format, await deflated(raw));
}

/** Between the four values around a point (bilinear); beyond the edges it is the edge's. */
function valueAt({ values, width, height }: Grid, u: number, v: number): number {
  const x = Math.min(width - 1, Math.max(0, u));
  const y = Math.min(height - 1, Math.max(0, v));
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, bottom] = [Math.min(width - 1, left + 1), Math.min(height - 1, top + 1)];
  const [a, b] = [x - left, y - top];
  const above = mixed(values[top * width + left], values[top * width + right], a);
  const below = mixed(values[bottom * width + left], values[bottom * width + right], a);
  return above + (below - above) * b;
}

const mixed = (one = 0, other = 0, share = 0): number => one + (other - one) * share;
