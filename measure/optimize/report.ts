import { statSync } from 'node:fs';
import path from 'node:path';
import { type ProfileFile, percentiles, profileOfBatches, profileOfSequences } from '../../placement/profiles/index.js';
import { paretoFront, type Weighed } from './pareto.js';
import { qualityOf } from './quality.js';
import type { Subject, Tried } from './subject.js';
import type { Sample } from './time-variants.js';
import type { Family, Skipped, Variant } from './variants.js';

/** A variant's measured figures. */
export interface VariantResult extends Weighed {
  readonly what: string;
  readonly serve: Variant['serve'];
  readonly weights: string;
  readonly weightsMiB: number;
  /** Absent with fewer than twenty samples. */
  readonly p95Ms?: number;
  /** At the largest batch, in the report's unit. */
  readonly throughputPerS: number;
  /** What `quality` is made of. */
  readonly figures: Readonly<Record<string, number>>;
  /** Measured calls of one input. */
  readonly samples: number;
  /** No other variant is better in time, memory and quality at once. */
  readonly onFront: boolean;
}

/** What optimising a model has found. */
export interface Report {
  readonly model: string;
  readonly family: Family;
  readonly unit: 'texts' | 'seconds of audio' | 'tokens';
  readonly machine: string;
  readonly measuredAt: string;
  /** Of the machine, over the last 1, 5 and 15 minutes. */
  readonly load: readonly number[];
  /** The original first. */
  readonly variants: readonly VariantResult[];
  readonly skipped: readonly Skipped[];
  /** A profile of each, in the order of the variants; its device kind is filled in when it is written. */
  readonly profiles: readonly Omit<ProfileFile, 'deviceKind'>[];
  /** Of an encoder: numbers of its vectors. */
  readonly dimensions?: number;
}

export interface Found extends Pick<Report, 'machine' | 'measuredAt' | 'load' | 'skipped'> {
  readonly tried: readonly Tried[];
}

const UNITS = { embed: 'texts', transcribe: 'seconds of audio', chat: 'tokens' } as const;
const MIB = 2 ** 20;
const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Pure but for the sizes of the weights. */
export function reportOf(subject: Subject, { tried, ...of }: Found): Report {
  const { model, family, examples } = subject;
  const original = tried[0]?.outputs ?? [];
  const results = tried.map((each): Omit<VariantResult, 'onFront'> => {
    const { quality, of: figures } = qualityOf(family, examples, each.outputs, original);
    const single = each.samples.filter(({ batch }) => batch === 1);
    const { p50Ms, p95Ms } = percentiles(single.map(({ ms }) => ms));
    const most = Math.max(...each.samples.map(({ batch }) => batch));
    const largest = each.samples.filter(({ batch }) => batch === most);
    return {
      variant: each.variant.name,
      what: each.variant.what,
      serve: each.variant.serve,
      weights: each.weights,
      weightsMiB: rounded(bytesOf(each.weights) / MIB, 1),
      p50Ms,
      ...(p95Ms !== undefined && { p95Ms }),
      throughputPerS: rounded((1_000 * sum(largest.map(({ units }) => units))) / sum(largest.map(({ ms }) => ms)), 1),
      memoryMiB: each.memoryMiB,
      quality: rounded(quality, 4),
      figures: Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, rounded(value, 4)])),
      samples: single.length,
    };
  });
  const front = new Set(paretoFront(results));
  const [first] = original;
  return {
    ...{ model, family, unit: UNITS[family], ...of },
    variants: results.map((each) => ({ ...each, onFront: front.has(each) })),
    profiles: results.flatMap((result, i) => (tried[i] ? [profileOf(subject, result, tried[i], of)] : [])),
    ...(family === 'embed' && Array.isArray(first) && { dimensions: first.length }),
  };
}

/** Of a file, or of the model's file in a folder of CTranslate2. */
export function bytesOf(weights: string): number {
  const found = statSync(weights);
  return found.isDirectory() ? statSync(path.join(weights, 'model.bin')).size : found.size;
}

const RUNTIMES = { embed: 'onnxruntime', transcribe: 'ctranslate2', chat: 'llama.cpp' } as const;

function profileOf(
  { model, family }: Subject,
  { variant, quality, memoryMiB, weights }: Omit<VariantResult, 'onFront'>,
  { samples, units }: Tried,
  { machine, measuredAt }: Pick<Report, 'machine' | 'measuredAt'>,
): Omit<ProfileFile, 'deviceKind'> {
  const of = {
    ...{ model, variant, quality, measuredAt, deviceKind: '', memory: `${memoryMiB}MiB` },
    // Not that of a server: `millrace profile --check` says that the model was not measured there.
    fingerprint: { model: path.basename(weights), server: RUNTIMES[family], device: machine },
  };
  const calls = samples.length;
  const { deviceKind: _, ...profile } =
    family === 'chat'
      ? profileOfSequences(of, sequencesOf(samples, units))
      : profileOfBatches(of, {
          cells: cellsOf(family, samples),
          overheadMs: [],
          preferred: [],
          calls,
          ...sizeOf(family, samples),
        });
  return profile;
}

/** Seconds of a recording to the tenth: two of nearly the same length are one row. */
const seconds = ({ units }: Sample): number => Math.max(0.1, rounded(units, 1));

function cellsOf(family: Family, samples: readonly Sample[]) {
  const cells = new Map<string, { readonly batch: number; readonly size?: number; readonly ms: number[] }>();
  for (const sample of samples) {
    const size = family === 'transcribe' ? { size: seconds(sample) } : {};
    const key = JSON.stringify([sample.batch, size]);
    const cell = cells.get(key) ?? { batch: sample.batch, ...size, ms: [] };
    cell.ms.push(sample.ms);
    cells.set(key, cell);
  }
  return [...cells.values()].sort((a, b) => a.batch - b.batch || (a.size ?? 0) - (b.size ?? 0));
}

function sizeOf(family: Family, samples: readonly Sample[]) {
  if (family !== 'transcribe') return {};
  const all = samples.map(seconds).sort((a, b) => a - b);
  return { size: { variable: 'audio_s', typical: all[Math.floor(all.length / 2)] ?? 1 } };
}

/**
 * Times of a prompt by its tokens, and of a token, of one sequence at a time.
 * @param answered tokens of the answers: those that were timed have one length
 */
function sequencesOf(samples: readonly Sample[], answered: readonly number[]) {
  const prefill = new Map<number, number[]>();
  const decode: number[] = [];
  for (const { prompt, ms, units } of samples) {
    if (prompt === undefined || units < 1) continue;
    prefill.set(prompt.tokens, [...(prefill.get(prompt.tokens) ?? []), prompt.ms]);
    decode.push((ms - prompt.ms) / units);
  }
  const middle = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 1;
  return {
    prefill: [...prefill].sort(([a], [b]) => a - b).map(([tokens, ms]) => ({ tokens, ms })),
    decode: [{ batch: 1, ms: decode }],
    size: {
      typicalIn: middle(samples.flatMap(({ prompt }) => (prompt ? [prompt.tokens] : []))),
      typicalOut: Math.max(1, middle(answered)),
    },
    calls: samples.length,
  };
}
