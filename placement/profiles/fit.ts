import type { Profile, ProfileFile } from './schema.js';

/** Measured times of a model served by batches, in milliseconds. */
export interface BatchSamples {
  readonly cells: readonly { readonly batch: number; readonly size?: number; readonly ms: readonly number[] }[];
  /** Overhead of single calls outside the server's computation. */
  readonly overheadMs: readonly number[];
  readonly preferred: readonly number[];
  readonly size?: { readonly variable: string; readonly typical: number };
  /** Number of calls measured. */
  readonly calls: number;
}

/** Times of an LLM: to the first token by prompt tokens, and per token by concurrent sequences. */
export interface SequenceSamples {
  readonly prefill: readonly { readonly tokens: number; readonly ms: readonly number[] }[];
  readonly decode: readonly { readonly batch: number; readonly tokens?: number; readonly ms: readonly number[] }[];
  readonly size: { readonly typicalIn: number; readonly typicalOut: number };
  readonly calls: number;
}

/** A profile's fields besides its times. */
export type ProfileOf = Pick<Profile, 'model' | 'variant' | 'deviceKind' | 'quality'> &
  Required<Pick<ProfileFile, 'measuredAt' | 'fingerprint'>> & {
    /** As an author writes it, e.g. `1.6GiB`; absent: unknown. */
    readonly memory?: string;
    /** Of an LLM: bytes of a token in its key-value cache, e.g. `128KiB`; absent: unknown. */
    readonly perToken?: string;
  };

/** The profile of a model with timed batches. */
export function profileOfBatches({ memory, perToken: _, ...of }: ProfileOf, samples: BatchSamples): ProfileFile {
  const preferredBatchSizes = samples.preferred.filter((size) => samples.cells.some(({ batch }) => batch === size));
  return {
    format: 1,
    ...of,
    overheadMs: rounded(quantile(samples.overheadMs, 0.5)),
    batching: 'dynamic',
    ...(memory !== undefined && { memory: { weights: memory } }),
    ...(preferredBatchSizes.length > 0 && { preferredBatchSizes }),
    ...(samples.size && { size: samples.size }),
    latency: samples.cells.map(({ ms, ...key }) => ({ ...key, ...percentiles(ms) })),
  };
}

/** The profile of an LLM. */
export function profileOfSequences({ memory, perToken, ...of }: ProfileOf, samples: SequenceSamples): ProfileFile {
  return {
    format: 1,
    ...of,
    batching: 'continuous',
    ...(memory !== undefined && { memory: { weights: memory, ...(perToken !== undefined && { perToken }) } }),
    size: { in: 'tokens_in', out: 'tokens_out', ...samples.size },
    prefill: samples.prefill.map(({ tokens, ms }) => ({ tokens, ...percentiles(ms) })),
    decode: samples.decode.map(({ ms, ...key }) => ({ ...key, ...percentiles(ms) })),
  };
}

/** A time that was measured as zero is below a microsecond. */
const LEAST_MS = 0.001;
const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000;
const time = (ms: number): number => Math.max(LEAST_MS, rounded(ms));

/** Fewest samples of which one is beyond the percentile: of fewer it is not measured, and not written. */
const SAMPLES_OF = { p95: 20, p99: 100 } as const;

/** Of measured times; those of which there are too few samples are absent. */
export const percentiles = (ms: readonly number[]) => ({
  p50Ms: time(quantile(ms, 0.5)),
  ...(ms.length >= SAMPLES_OF.p95 && { p95Ms: time(quantile(ms, 0.95)) }),
  ...(ms.length >= SAMPLES_OF.p99 && { p99Ms: time(quantile(ms, 0.99)) }),
  meanMs: time(ms.reduce((sum, each) => sum + each, 0) / ms.length),
});

/** Interpolated between neighbouring samples; 0 without samples. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? 0;
  return low + (at - Math.floor(at)) * ((sorted[Math.ceil(at)] ?? low) - low);
}
