import { MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { Tensor } from '../../../../protocols/open-inference/index.js';
import { activated } from '../activation.js';
import type { BoundMap, BoundOutput } from '../bind.js';
import { type Box, boxesOf, suppressed } from '../boxes.js';
import { wrongOutput } from '../encode.js';
import { answer, type Response, sourcesOf, type TensorContext, type TensorKind } from '../kind.js';
import { masksOf } from '../masks.js';
import type { Numbers } from '../numbers.js';
import { found, numbers, texts, wholeOutput } from '../read.js';

/** Most candidates that are compared with each other; the best of them. */
const MOST_COMPARED = 5_000;
const MOST = 300;

/**
 * Things found in an image or in audio, from tensors of boxes (or spans), scores and classes, or of a detector's raw
 * predictions; below the threshold they are dropped, and so are lesser boxes of one label that overlap.
 */
export const detect: TensorKind = {
  async invoke(call, given) {
    const { labels, threshold, masks } = call.with as Asked;
    const context = { ...given, map: outputsFor(given.map, masks) };
    const response = await answer(call, context, await sourcesOf(call, context));
    const whole = wholeOutput(context.map, response.outputs);
    if (whole) return { output: whole };
    const candidates = candidatesOf(context, response);
    const { map } = context;
    const bound = map.outputs.get('boxes') ?? map.outputs.get('predictions') ?? map.outputs.get('spans');
    const least = threshold ?? map.outputs.get('scores')?.threshold ?? bound?.threshold ?? Number.NEGATIVE_INFINITY;
    const wanted = candidates.filter(({ label, score }) => score >= least && (!labels || labels.includes(label)));
    const nms = bound?.nms;
    const best = () => wanted.toSorted((a, b) => b.score - a.score);
    // Text is read in an order, which is worth more than the score's.
    const kept =
      nms === undefined
        ? map.outputs.has('texts')
          ? wanted
          : best()
        : suppressed(best().slice(0, MOST_COMPARED), nms);
    const most = kept.slice(0, bound?.most ?? MOST);
    // What is heard is told along the audio.
    const told = map.outputs.has('spans') ? most.toSorted((a, b) => startOf(a) - startOf(b)) : most;
    const pair = found(map, 'masks', response.outputs);
    const made = pair && (await masksOf(pair, told, { ...response, count: candidates.length }, context));
    const detections = told.map(({ row: _, weights: __, ...detection }, i) => ({
      ...detection,
      ...(made?.[i] && { mask: made[i] }),
    }));
    return { output: { detections: detections as unknown as JsonObject[] } };
  },
  example: {},
};

/** What a stage asks for. */
interface Asked {
  readonly labels?: readonly string[];
  readonly threshold?: number;
  readonly masks?: boolean;
}

/** The map with the outputs that the call needs: masks are large. Throws `CAPABILITY_MISSING` for one without. */
function outputsFor(map: BoundMap, masks = false): BoundMap {
  if (!masks) return { ...map, outputs: new Map([...map.outputs].filter(([to]) => to !== 'masks')) };
  if (map.outputs.has('masks') || map.outputs.has('output')) return map;
  const message = 'the stage asks for masks, and no output of the pool’s tensor map is "masks" or "output"';
  throw new MillraceError('CAPABILITY_MISSING', message);
}

interface Candidate {
  /** Its place in the model's list. */
  readonly row: number;
  /** Of the prototypes of masks. */
  readonly weights?: () => Numbers;
  readonly label: string;
  readonly score: number;
  readonly box?: Box;
  readonly span?: { readonly startMs: number; readonly endMs: number };
  readonly text?: string;
}

const startOf = ({ span }: Candidate): number => span?.startMs ?? 0;

function candidatesOf({ map }: TensorContext, { outputs, pixels }: Response): readonly Candidate[] {
  const raw = found(map, 'predictions', outputs);
  if (raw) return predicted(...raw, pixels);
  const pair = found(map, 'boxes', outputs);
  const spans = spansOf(found(map, 'spans', outputs));
  const said = found(map, 'texts', outputs);
  const read = said && texts(...said);
  const boxes = pair && boxesOf(pair[0], pair[1], numbers(...pair), pixels);
  const count = boxes?.length ?? spans?.length ?? read?.length ?? 0;
  const scores = scoresOf(found(map, 'scores', outputs), count);
  const classes = found(map, 'classes', outputs);
  const named = classes && labelsOf(classes, count);
  if (read && read.length < count) throw wrongOutput(said?.[0].name ?? '', `${read.length} texts for ${count} boxes`);
  return Array.from({ length: count }, (_, i) => {
    const { label, score } = scores[i] ?? { label: undefined, score: 1 };
    const [box, span, text] = [boxes?.[i], spans?.[i], read?.[i]];
    return {
      row: i,
      label: named?.[i] ?? label ?? (read ? 'text' : 'object'),
      score,
      ...(box && { box }),
      ...(span && { span }),
      ...(text !== undefined && { text }),
    };
  });
}

/** Of one score each, or of a score for each class, of which the best counts. */
function scoresOf(pair: readonly [BoundOutput, Tensor] | undefined, count: number) {
  if (!pair || count === 0) return [];
  const [bound, tensor] = pair;
  const values = numbers(bound, tensor);
  const width = values.length / count;
  if (!Number.isInteger(width) || width < 1)
    throw wrongOutput(bound.name, `${values.length} scores for ${count} boxes`);
  if (width > 1 && bound.labels && width < bound.labels.length)
    throw wrongOutput(bound.name, `${width} scores of a box for ${bound.labels.length} labels`);
  const scores = activated(values, bound.activation, width);
  return Array.from({ length: count }, (_, i) => best(scores.subarray(i * width, (i + 1) * width), bound));
}

function best(scores: Numbers, { labels }: BoundOutput) {
  let at = 0;
  for (let i = 1; i < scores.length; i++) if ((scores[i] as number) > (scores[at] as number)) at = i;
  return { label: scores.length > 1 || labels ? (labels?.[at] ?? String(at)) : undefined, score: scores[at] as number };
}

function labelsOf([bound, tensor]: readonly [BoundOutput, Tensor], count: number): string[] {
  const names =
    tensor.datatype === 'BYTES'
      ? texts(bound, tensor)
      : [...numbers(bound, tensor)].map((index) => bound.labels?.[index] ?? String(index));
  if (names.length < count) throw wrongOutput(bound.name, `${names.length} classes for ${count} boxes`);
  return names;
}

/** Seconds, [n, 2]. */
function spansOf(pair: readonly [BoundOutput, Tensor] | undefined) {
  if (!pair) return undefined;
  const values = numbers(...pair);
  return Array.from({ length: Math.floor(values.length / 2) }, (_, i) => ({
    startMs: Math.round((values[2 * i] as number) * 1_000),
    endMs: Math.round((values[2 * i + 1] as number) * 1_000),
  }));
}

/**
 * What YOLO and its kin return: [1, 4 + classes, n] or [1, n, 4 + classes], centre and size first; behind the classes, weights of
 * prototypes.
 */
function predicted(bound: BoundOutput, tensor: Tensor, pixels: Response['pixels']): readonly Candidate[] {
  const { shape } = tensor;
  const values = numbers(bound, tensor);
  const [rows = 0, columns = 0] = shape.slice(-2);
  const { coefficients = 0 } = bound;
  const across = bound.labels ? rows === 4 + bound.labels.length + coefficients : rows < columns;
  const [width, count] = across ? [rows, columns] : [columns, rows];
  const classes = width - 4 - coefficients;
  if (classes < 1 || values.length !== width * count)
    throw wrongOutput(bound.name, `shape [${shape}] is not of predictions`);
  if (bound.labels && classes !== bound.labels.length) {
    const other = coefficients > 0 ? ` and ${coefficients} coefficients` : '';
    const fields = `a box, ${bound.labels.length} labels${other}`;
    const remedy = 'give one label for each class; an objectness is not supported';
    throw wrongOutput(bound.name, `shape [${shape}] is not of predictions of ${fields}: ${remedy}`);
  }
  const at = (i: number, field: number) => values[across ? field * count + i : i * width + field] as number;
  const quad = Float64Array.from({ length: 4 * count }, (_, i) => at(Math.floor(i / 4), i % 4));
  const boxes = boxesOf({ ...bound, box: bound.box ?? 'cxcywh' }, { ...tensor, shape: [count, 4] }, quad, pixels);
  return boxes.map((box, i) => {
    const scores = activated(
      Float64Array.from({ length: classes }, (_, c) => at(i, c + 4)),
      bound.activation,
      classes,
    );
    const { label = 'object', score } = best(scores, bound);
    const weights = () => Float64Array.from({ length: coefficients }, (_, c) => at(i, 4 + classes + c));
    return { row: i, label, score, box, ...(coefficients > 0 && { weights }) };
  });
}
