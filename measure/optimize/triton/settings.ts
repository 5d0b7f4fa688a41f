import { invalidField } from '../../../pipelines/invalid-fields.js';
import {
  type BatchSettings,
  blocksOf,
  fieldNames,
  numbersOf,
  scalarOf,
  withBatchSettings,
} from '../../../placement/apply/index.js';
import type { Step } from './search.js';

/**
 * Preferred batch sizes, relative to the largest batch, so that they follow it: none, the largest only, half of it and the
 * largest, or those of the author as far as they are not above it.
 */
type Preferred = 'none' | 'largest' | 'halves' | 'author';

/** A point of the search. */
export interface Candidate {
  readonly maxBatch: number;
  readonly instances: number;
  /** Null: without a dynamic batcher. */
  readonly delayMicroseconds: number | null;
  readonly preferred: Preferred;
}

/** What is searched: where it begins, and how to move from one candidate to the next. */
export interface Space {
  readonly start: Candidate;
  readonly steps: readonly Step<Candidate>[];
  /** The settings that a candidate stands for. */
  settingsOf(candidate: Candidate): TriedSettings;
  /** The author's configuration with those settings; of the start the configuration itself. */
  configOf(candidate: Candidate): string;
}

/** Settings under Triton's own names, for reports. */
export interface TriedSettings {
  readonly max_batch_size: number;
  /** The instances of all groups. */
  readonly instance_count: number;
  readonly preferred_batch_size: readonly number[];
  /** Null: the model has no dynamic batcher. */
  readonly max_queue_delay_microseconds: number | null;
}

export interface SpaceLimits {
  /** Largest batch; absent: the author's. */
  readonly maxBatch?: number | undefined;
  readonly maxInstances: number;
}

/** From no waiting to more than most models compute. */
const DELAYS_US = [0, 100, 500, 1_000, 2_000, 5_000, 10_000] as const;
/** Counts of instances, finer where one more changes most. */
const INSTANCES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32] as const;
const LARGEST_BATCH = 1_024;

/**
 * The space around an author's `config.pbtxt`. What it cannot have is not searched: batches of a model without a batch
 * dimension or with a batcher for sequences, instances of a model with several groups. Throws `INVALID_INPUT` for an
 * ensemble, and for a model of which nothing is left to search.
 * @param model names it in errors
 */
export function spaceOf(model: string, config: string, limits: SpaceLimits): Space {
  const names = fieldNames(config);
  if (names.has('ensemble_scheduling') || scalarOf(config, 'platform') === 'ensemble')
    throw invalidField(model, 'is an ensemble, which has no settings of its own: name one of its models');
  const groups = blocksOf(config, 'instance_group');
  const counts = groups.map((group) => Number(scalarOf(group, 'count') ?? 1));
  const batcher = blocksOf(config, 'dynamic_batching')[0];
  const author = numbersOf(batcher ?? '', 'preferred_batch_size');
  const start: Candidate = {
    maxBatch: Number(scalarOf(config, 'max_batch_size') ?? 0),
    instances: counts.length === 0 ? 1 : counts.reduce((sum, count) => sum + count, 0),
    delayMicroseconds: batcher === undefined ? null : Number(scalarOf(batcher, 'max_queue_delay_microseconds') ?? 0),
    preferred: author.length > 0 ? 'author' : 'none',
  };
  const single = groups.length < 2;
  const most = Math.min(LARGEST_BATCH, limits.maxBatch ?? start.maxBatch);
  const batched = start.maxBatch > 0 && most > 1 && !names.has('sequence_batching');
  const steps = [
    ...(single && limits.maxInstances > 1 ? [instancesStep(start, limits.maxInstances)] : []),
    ...(batched ? [delayStep(start), maxBatchStep(start, most), preferredStep(start)] : []),
  ];
  if (steps.length === 0) {
    const why = start.maxBatch > 0 ? 'allows no batches and one instance' : 'has no batch dimension, and one instance';
    throw invalidField(model, `there is nothing to search: it ${why}; see --max-batch and --max-instances`);
  }
  const settingsOf = (at: Candidate): TriedSettings => ({
    max_batch_size: at.maxBatch,
    instance_count: at.instances,
    preferred_batch_size: preferredOf(at, author),
    max_queue_delay_microseconds: at.delayMicroseconds,
  });
  return {
    ...{ start, steps, settingsOf },
    configOf: (at) =>
      at === start
        ? config
        : withBatchSettings(config, toMerge(settingsOf(at), { instances: single, batches: batched })),
  };
}

function toMerge(
  settings: TriedSettings,
  searched: { readonly instances: boolean; readonly batches: boolean },
): BatchSettings {
  const { max_queue_delay_microseconds: delayMicroseconds, preferred_batch_size: preferred } = settings;
  return {
    ...(searched.instances && { instances: settings.instance_count }),
    ...(searched.batches && { maxBatch: settings.max_batch_size }),
    ...(searched.batches && delayMicroseconds !== null && { batcher: { preferred, delayMicroseconds } }),
  };
}

function preferredOf({ maxBatch, preferred, delayMicroseconds }: Candidate, author: readonly number[]) {
  if (delayMicroseconds === null || preferred === 'none') return [];
  if (preferred === 'author') return author.filter((size) => size <= maxBatch);
  return preferred === 'halves' && maxBatch >= 4 ? [Math.floor(maxBatch / 2), maxBatch] : [maxBatch];
}

const ascending = (values: readonly number[]): readonly number[] => [...new Set(values)].sort((a, b) => a - b);

/** The neighbour of a value on a ladder; undefined at its end. */
function neighbour<T>(ladder: readonly T[], value: T, direction: 1 | -1): T | undefined {
  const at = ladder.indexOf(value);
  return at === -1 ? undefined : ladder[at + direction];
}

function instancesStep(start: Candidate, most: number): Step<Candidate> {
  const ladder = ascending([...INSTANCES.filter((count) => count <= most), start.instances]);
  return (at, direction) => {
    const instances = neighbour(ladder, at.instances, direction);
    return instances === undefined ? undefined : { ...at, instances };
  };
}

/** Its first step switches the batcher on where the author has none; none switches it off. */
function delayStep(start: Candidate): Step<Candidate> {
  const ladder = [...ascending([...DELAYS_US, start.delayMicroseconds ?? 0])];
  return (at, direction) => {
    if (at.maxBatch < 2) return undefined;
    if (at.delayMicroseconds === null) return direction === 1 ? { ...at, delayMicroseconds: 0 } : undefined;
    const delayMicroseconds = neighbour(ladder, at.delayMicroseconds, direction);
    return delayMicroseconds === undefined ? undefined : { ...at, delayMicroseconds };
  };
}

/** Powers of two. Without a batcher the largest batch says nothing: a step switches it on. */
function maxBatchStep(start: Candidate, most: number): Step<Candidate> {
  const powers = Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, i) => 2 ** i);
  const ladder = ascending([...powers, most, start.maxBatch]);
  return (at, direction) => {
    const maxBatch = neighbour(ladder, at.maxBatch, direction);
    if (maxBatch === undefined || (at.delayMicroseconds === null && direction === -1)) return undefined;
    return { ...at, maxBatch, delayMicroseconds: at.delayMicroseconds ?? 0 };
  };
}

function preferredStep(start: Candidate): Step<Candidate> {
  const ladder: readonly Preferred[] = [
    'none',
    'largest',
    'halves',
    ...(start.preferred === 'author' ? ['author' as const] : []),
  ];
  return (at, direction) => {
    if (at.maxBatch < 2 || at.delayMicroseconds === null) return undefined;
    const preferred = neighbour(ladder, at.preferred, direction);
    return preferred === undefined ? undefined : { ...at, preferred };
  };
}
