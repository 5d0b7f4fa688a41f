import { z } from 'zod';
import { DTYPES } from '../../../pipelines/media.js';
import { promptTemplate } from '../conversation.js';
import { ROLES } from './roles.js';

/*
 * A tensor map: which tensor of a model carries which field of a stage, and how. It is data, the option `tensors` of a
 * pool, so that models serve stage kinds whatever their tensors are. What it leaves out is read from the model's
 * metadata. docs/reference/servers/triton.md explains every option.
 */

const MOST_RANK = 8;
/** -1 for a dimension that varies. */
const shape = z.array(z.int().min(-1)).max(MOST_RANK);
const dtype = z.enum(DTYPES);
const channels = z.union([z.number(), z.array(z.number()).min(1).max(4)]);
/** A side of an image that a model takes; larger ones are tiled by those who use them. */
const side = z.int().min(1).max(8_192);
const constant = z.union([z.number(), z.string(), z.boolean()]);

const IMAGE_ONLY = ['layout', 'width', 'height', 'longest', 'fit', 'pad', 'colors', 'mean', 'std'] as const;

const inputEntry = z
  .strictObject({
    /** The field of the stage's input or options that it carries, or `length`, `imageSize`, `input`. */
    from: z.string().optional(),
    /** A constant, instead of `from`. */
    value: z.union([constant, z.array(constant).max(4_096)]).optional(),
    dtype: dtype.optional(),
    shape: shape.optional(),
    /**
     * `json`: one BYTES element of JSON. `file`: the bytes of the image or audio file as they are, one BYTES element or a
     * row of UINT8.
     */
    encoding: z.enum(['json', 'file']).optional(),
    /** Left out of a request without a value, and of one to a model that does not have it. */
    optional: z.boolean().default(false),
    /** Order of an image's dimensions, after those of the batch. */
    layout: z.enum(['CHW', 'HWC']).optional(),
    width: side.optional(),
    height: side.optional(),
    /** Greatest side of an image whose size the model leaves open: a larger one is made smaller, keeping its proportions. */
    longest: side.optional(),
    /** How an image gets the model's size: distorted, whole with a margin, or its middle. */
    fit: z.enum(['fill', 'contain', 'cover']).optional(),
    /** Value of the margin's pixels, 0 to 255. */
    pad: z.int().min(0).max(255).optional(),
    colors: z.enum(['rgb', 'bgr', 'gray']).optional(),
    /** A value is `(value × scale − mean) ÷ std`, for each channel. */
    scale: z.number().optional(),
    mean: channels.optional(),
    std: channels.optional(),
    /** Samples per second. */
    sampleRate: z.int().min(1_000).max(192_000).optional(),
    /** Longest audio of one request, in seconds. */
    seconds: z.number().min(0.1).max(3_600).optional(),
    /** Sent once for each of the passages. */
    each: z.boolean().optional(),
    /** How a conversation becomes one text. Default `plain`. */
    template: promptTemplate.optional(),
  })
  .superRefine((entry, context) => {
    const wrong = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if ((entry.from === undefined) === (entry.value === undefined)) wrong('from', 'give either from or value');
    if (entry.value !== undefined && entry.encoding === 'file') wrong('encoding', 'a constant is no file');
    if (entry.from !== 'image') {
      for (const key of IMAGE_ONLY) if (entry[key] !== undefined) wrong(key, 'is for images: from must be "image"');
    }
    if (entry.from !== 'audio') {
      for (const key of ['sampleRate', 'seconds'] as const) {
        if (entry[key] !== undefined) wrong(key, 'is for audio: from must be "audio"');
      }
    }
    if (entry.template && entry.from !== 'prompt') wrong('template', 'is for conversations: from must be "prompt"');
    for (const each of [entry.std].flat()) if (each === 0) wrong('std', 'must not be 0: values are divided by it');
  });

const outputEntry = z.strictObject({
  /** What it is for the stage kind, or `output`: the whole output, as JSON. */
  to: z.string(),
  dtype: dtype.optional(),
  shape: shape.optional(),
  /** Left out for a model that does not have it. */
  optional: z.boolean().default(false),
  /** BYTES whose one element is JSON. */
  encoding: z.literal('json').optional(),
  /** JSON pointer (RFC 6901) to the value within the JSON. */
  pointer: z.string().startsWith('/').max(1_024).optional(),
  activation: z.enum(['none', 'softmax', 'sigmoid']).optional(),
  /** Names of the classes, or the vocabulary, in the model's order. */
  labels: z.array(z.string()).min(1).max(200_000).optional(),
  /** Least score that counts. */
  threshold: z.number().optional(),
  /** The label where no score reaches the threshold. */
  otherwise: z.string().optional(),
  /** How the vectors of an embedding's tokens become one. */
  pooling: z.enum(['first', 'last', 'mean']).optional(),
  /** `ctc`: the text is decoded from frames of logits over `labels`. */
  decode: z.literal('ctc').optional(),
  /** Index of CTC's blank. Default 0. */
  blank: z.int().min(0).optional(),
  /** The label that stands for a space. Default `|`. */
  space: z.string().optional(),
  /** Texts of a decoupled model's responses: what is new, or all so far. */
  responses: z.enum(['delta', 'whole']).optional(),
  /** Factor of audio samples; integers of 16 bits and floats in [-1, 1] need none. */
  scale: z.number().optional(),
  /** Samples per second, where no tensor has it. */
  sampleRate: z.int().min(1_000).max(192_000).optional(),
  /** Corners, corner and size, or centre and size. */
  box: z.enum(['xyxy', 'xywh', 'cxcywh']).optional(),
  /** Unit of boxes: pixels of the model's input, shares of it, or pixels of the image given. */
  unit: z.enum(['input', 'share', 'source']).optional(),
  /** Of `predictions`: numbers behind the classes, which weigh the prototypes that `masks` are then. Default 0. */
  coefficients: z.int().min(1).max(256).optional(),
  /** What a mask covers: the model's input, or the box of its detection. Default `input`. */
  covers: z.enum(['input', 'box']).optional(),
  /** Greatest overlap (intersection over union) of two boxes of one label. */
  nms: z.number().min(0).max(1).optional(),
  /** Most detections; the best. Default 300. Of `masks`: most masks, default 100. */
  most: z.int().min(1).max(10_000).optional(),
});

export type InputEntry = z.output<typeof inputEntry>;
export type OutputEntry = z.output<typeof outputEntry>;

const map = z.strictObject({
  inputs: z.record(z.string().min(1), inputEntry),
  outputs: z.record(z.string().min(1), outputEntry),
});
export type TensorMap = z.output<typeof map>;

/** Schema of the option `tensors` of a pool of this kind. */
export const tensorMap = (kind: string): z.ZodType<TensorMap> =>
  map.superRefine(({ inputs, outputs }, context) => {
    const roles = ROLES[kind];
    const wrong = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    if (!roles) return wrong([], `a pool of the kind ${kind} takes no tensor map`);
    for (const [name, { from }] of Object.entries(inputs)) {
      if (from !== undefined && !roles.from.includes(from)) {
        wrong(['inputs', name, 'from'], `must be one of ${roles.from.join(', ')}`);
      }
    }
    for (const [name, entry] of Object.entries(outputs)) {
      if (!roles.to.includes(entry.to)) wrong(['outputs', name, 'to'], `must be one of ${roles.to.join(', ')}`);
      if ((entry.to === 'output' || entry.to === 'segments') && entry.encoding !== 'json') {
        const what = entry.to === 'output' ? 'a whole output' : 'segments';
        wrong(['outputs', name, 'encoding'], `must be "json" for ${what}`);
      }
      if (entry.decode === 'ctc' && !entry.labels) {
        wrong(['outputs', name, 'labels'], 'CTC needs the vocabulary, in the order of the logits');
      }
    }
    const given = Object.values(outputs).map(({ to }) => to);
    const weighs = Object.values(outputs).some(
      ({ to, coefficients }) => to === 'predictions' && coefficients !== undefined,
    );
    if (given.includes('masks') && !given.includes('boxes') && !weighs) {
      wrong(['outputs'], 'masks go with boxes, or with predictions that have coefficients');
    }
    const doubled = given.find((to, i) => given.indexOf(to) !== i);
    if (doubled !== undefined) wrong(['outputs'], `two outputs are "${doubled}"`);
    const sure = Object.values(outputs).flatMap(({ to, optional }) => (optional ? [] : [to]));
    const enough =
      roles.to.length === 0 ||
      sure.includes('output') ||
      roles.needs.some((set) => set.every((to) => sure.includes(to)));
    if (!enough) {
      const sets = [...roles.needs.map((set) => set.join(' with ')), 'output'].join(', or ');
      wrong(['outputs'], `none gives what a ${kind} stage needs: ${sets}`);
    }
  });
