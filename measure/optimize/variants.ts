import type { JsonObject } from '../../pipelines/json.js';

/** What a model does, as the kind of its pool, and with it the runtime that serves it here: ONNX Runtime, CTranslate2 or llama.cpp. */
export type Family = 'embed' | 'transcribe' | 'chat';

/** A way of serving a model. */
export interface Variant {
  readonly name: string;
  /** One line for people. */
  readonly what: string;
  /** How its weights are made of the original's (an operation of `deploy/local/optimize/convert.py`); absent: they are its own. */
  readonly convert?: JsonObject;
  /** Weights that are there, in place of the original's: what the embedded stack serves. */
  readonly weights?: string;
  /** Options of the runtime. */
  readonly serve: JsonObject;
}

/** A variant that is not made here, and why. */
export interface Skipped {
  readonly name: string;
  readonly why: string;
}

export interface VariantPlan {
  /** The first one is the original, with which the others are compared. */
  readonly variants: readonly Variant[];
  readonly skipped: readonly Skipped[];
}

/** Threads that are tried: more than four of one call help none of these models. */
const MOST_THREADS = 4;
const threadsOf = (cores: number): number => Math.max(1, Math.min(MOST_THREADS, cores));

export interface OnnxInput {
  readonly cores: number;
  /** Texts of which the ranges of activations are taken; without them there is no static quantisation. */
  readonly calibration: readonly string[];
  /** The file that the stack serves, where it is not the original. */
  readonly served?: string;
  /** The original is quantised: quantised again it would lose twice. */
  readonly quantised?: boolean;
}

/** Variants of an encoder for ONNX Runtime. */
export function onnxVariants({ cores, calibration, served, quantised = false }: OnnxInput): VariantPlan {
  const threads = threadsOf(cores);
  const original = quantised ? 'original' : 'fp32';
  const serve = (level: 'off' | 'basic' | 'all', count = threads) => ({ level, threads: count });
  const dynamic = { op: 'onnx-dynamic', perChannel: false };
  const single = cores > 1;
  const why = 'the weights are quantised already: pass the ones in float32';
  const variants: Variant[] = [
    { name: original, what: 'the weights as they are, graph optimised', serve: serve('all') },
    { name: `${original}-basic`, what: 'graph optimised without fused operators', serve: serve('basic') },
    { name: `${original}-plain`, what: 'graph as it is', serve: serve('off') },
    ...(single ? [{ name: `${original}-1-thread`, what: 'one thread', serve: serve('all', 1) }] : []),
    ...(served === undefined
      ? []
      : [{ name: 'served', what: 'int8, the file of the embedded servers', weights: served, serve: serve('all') }]),
    ...(quantised
      ? []
      : [
          {
            name: 'int8-dynamic',
            what: 'int8 weights, a scale for each tensor',
            convert: dynamic,
            serve: serve('all'),
          },
          ...(single
            ? [
                {
                  name: 'int8-dynamic-1-thread',
                  what: 'the same, one thread',
                  convert: dynamic,
                  serve: serve('all', 1),
                },
              ]
            : []),
          {
            name: 'int8-dynamic-channel',
            what: 'int8 weights, a scale for each column',
            convert: { op: 'onnx-dynamic', perChannel: true },
            serve: serve('all'),
          },
          ...(calibration.length === 0
            ? []
            : [
                {
                  name: 'int8-static',
                  what: `int8 weights and activations, calibrated with ${calibration.length} texts`,
                  convert: { op: 'onnx-static', texts: [...calibration] },
                  serve: serve('all'),
                },
              ]),
        ]),
  ];
  const skipped: Skipped[] = [
    {
      name: 'fp16',
      why: 'ONNX Runtime has no operators in float16 for processors: it would convert to float32 and back, which only takes longer',
    },
    ...(quantised ? ['int8-dynamic', 'int8-static'].map((name) => ({ name, why })) : []),
    ...(!quantised && calibration.length === 0
      ? [{ name: 'int8-static', why: 'there is no calibration data: pass --calibration FILE' }]
      : []),
  ];
  return { variants, skipped };
}

/** Compute types of CTranslate2, the most exact first; the weights are converted while they are loaded. */
const COMPUTE_TYPES = {
  float32: 'weights and activations in float32',
  float16: 'float16',
  bfloat16: 'bfloat16',
  int16: 'int16 weights and activations',
  int8_float32: 'int8 weights, the rest in float32',
  int8_float16: 'int8 weights, the rest in float16',
  int8_bfloat16: 'int8 weights, the rest in bfloat16',
  int8: 'int8 weights, the rest in the fastest type',
} as const;

/** Variants of Whisper for CTranslate2, of the compute types that it offers on this processor. */
export function ctranslate2Variants(input: {
  readonly cores: number;
  readonly computeTypes: readonly string[];
}): VariantPlan {
  const threads = threadsOf(input.cores);
  const names = Object.entries(COMPUTE_TYPES);
  const variants = names.flatMap(([compute, what]): Variant[] => {
    if (!input.computeTypes.includes(compute)) return [];
    const all = { name: compute, what, serve: { compute, threads } };
    if (compute !== 'int8' || input.cores === 1) return [all];
    return [all, { name: `${compute}-1-thread`, what: 'the same, one thread', serve: { compute, threads: 1 } }];
  });
  const skipped = names
    .filter(([compute]) => !input.computeTypes.includes(compute))
    .map(([name]) => ({ name, why: 'CTranslate2 does not offer it on this processor' }));
  return { variants, skipped };
}

/** Types of GGUF by bits of a weight, the most exact first. */
const GGUF_BITS = { F32: 32, BF16: 16, F16: 16, Q8_0: 8.5, Q5_1: 6, Q5_0: 5.5, Q4_1: 5, Q4_0: 4.5 } as const;
const MADE = ['F16', 'Q8_0', 'Q5_1', 'Q5_0', 'Q4_1', 'Q4_0'] as const;
/** Above this a type is not a quantisation. */
const EXACT_BITS = 16;

export interface GgufInput {
  readonly cores: number;
  /** Elements of the file's tensors by their type. */
  readonly elements: Readonly<Record<string, number>>;
  /** All rows are made of whole blocks of 256, which the types with K in their name need. */
  readonly rowsOf256: boolean;
  /** Weights that are quantised already may be quantised again. */
  readonly requantise: boolean;
}

/** Variants of an LLM for llama.cpp. */
export function ggufVariants({ cores, elements, rowsOf256, requantise }: GgufInput): VariantPlan {
  const threads = threadsOf(cores);
  const [main = 'unknown'] = Object.entries(elements).sort(([, a], [, b]) => b - a)[0] ?? [];
  const bitsOf = (type: string): number => (GGUF_BITS as Readonly<Record<string, number>>)[type] ?? 0;
  const exact = bitsOf(main) >= EXACT_BITS;
  const own = main.toLowerCase();
  const others = MADE.filter((type) => type !== main);
  const again = exact ? '' : `, made of ${own}: what that has lost stays lost`;
  const made = exact || requantise;
  const variants: Variant[] = [
    { name: own, what: 'the weights as they are', serve: { threads } },
    ...(cores > 1 ? [{ name: `${own}-1-thread`, what: 'one thread', serve: { threads: 1 } }] : []),
    ...(made
      ? others.map((type) => ({
          name: type.toLowerCase(),
          what: `${bitsOf(type)} bits a weight${again}`,
          convert: { op: 'gguf', type },
          serve: { threads },
        }))
      : []),
  ];
  const kept = rowsOf256
    ? 'they are not written here: llama-quantize of llama.cpp makes them, and its file can be optimised in turn'
    : 'they have blocks of 256 weights, and rows of this model are no multiple of that';
  const skipped: Skipped[] = [
    { name: 'q4_k, q5_k, q6_k', why: kept },
    ...(made
      ? []
      : others.map((type) => ({
          name: type.toLowerCase(),
          why: `the weights are ${own} already: pass --requantise to make it of them all the same`,
        }))),
  ];
  return { variants, skipped };
}
