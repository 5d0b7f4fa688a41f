import { setMaxListeners } from 'node:events';
import type { Backend } from '../../activities/connectors/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { type DefinedKinds, isDefinedKind } from '../../pipelines/stages/index.js';
import { type ProfileFile, profileOfBatches, profileOfSequences } from '../../placement/profiles/index.js';
import { limited } from '../../runtime/limited.js';
import { isLoopback } from '../../runtime/loopback.js';
import { exampleOf } from './examples.js';
import type { SampleAudio } from './sample-audio.js';
import { sampleBatches } from './sample-batches.js';
import { sampleSequences } from './sample-sequences.js';
import type { Target } from './targets.js';

/** A running server identifies itself within milliseconds, a loaded one within seconds. */
const ANSWER_MS = 10_000;

export type Fingerprint = { readonly model: string; readonly server: string; readonly device: string };

/**
 * Fingerprint of a profile: the model's weights, the server and the device. Throws as the connector does if the server
 * is away.
 */
export async function fingerprintAt(
  target: Target,
  backend: Backend,
  machine: string,
  signal: AbortSignal,
): Promise<Fingerprint> {
  const { pool, endpoint } = target;
  return limited(ANSWER_MS, signal, async (own) => {
    const model = await backend.fingerprint(pool.model, own);
    const server = (await backend.server?.(pool.model, own)) ?? pool.connector;
    // The hardware of a remote machine is unknown; its operator's name is used.
    return { model, server, device: isLoopback(endpoint.url) ? machine : endpoint.device };
  });
}

export interface MeasureOptions {
  readonly samples: number;
  readonly timeLimitMs: number;
  readonly batches: readonly number[];
  /** Ascending; absent: those of the kind. */
  readonly sizes?: readonly number[] | undefined;
  readonly variant: string;
  /** Of its answers, from 0 to 1. Absent: what the pool says of the variant, or 1. */
  readonly quality?: number | undefined;
  /** By the pool's name. */
  readonly memory: Readonly<Record<string, string>>;
  /** Of LLMs: bytes of a token in the key-value cache, by the pool's name. */
  readonly perToken?: Readonly<Record<string, string>>;
  readonly audio: SampleAudio;
  /** The kinds made with `defineKind` of the pipeline. */
  readonly kinds?: DefinedKinds;
  readonly machine: string;
  readonly now: Date;
  readonly signal: AbortSignal;
}

const wayOut = (kind: string): string =>
  isDefinedKind(kind) ? 'give its defineKind an `example`' : 'write its profile by hand';

export interface Measured {
  readonly profile: ProfileFile;
  readonly calls: number;
}

/**
 * Measures a model at its endpoint. Throws what the connector throws, and `PROFILE_UNMEASURED` if it cannot be
 * measured.
 */
export async function profileTarget(target: Target, backend: Backend, options: MeasureOptions): Promise<Measured> {
  const { model, pool, endpoint, deviceKind } = target;
  const { variant, audio, machine, signal } = options;
  const quality = options.quality ?? pool.variants?.[variant]?.quality ?? 1;
  // Every call of a burst adds a listener: more than the ten above which Node warns of a leak.
  setMaxListeners(0, signal);
  const fingerprint = await fingerprintAt(target, backend, machine, signal);
  const memory = options.memory[model];
  const perToken = options.perToken?.[model];
  const of = {
    ...{ model, variant, deviceKind, quality, fingerprint },
    measuredAt: options.now.toISOString(),
    ...(memory !== undefined && { memory }),
    ...(perToken !== undefined && { perToken }),
  };
  const batches = options.batches.filter((batch) => batch <= endpoint.concurrency);
  const { samples, timeLimitMs, sizes } = options;
  const subject = { sizes, backend, model: pool.model, audio, samples, timeLimitMs, batches, signal };
  if (pool.kind === 'chat') {
    const sampled = await sampleSequences(subject, target.with);
    return { profile: profileOfSequences(of, sampled), calls: sampled.calls };
  }
  const example = exampleOf(pool.kind, target.with, audio, options.kinds);
  if (example === undefined) {
    const message = `a pool of kind ${pool.kind} has no calls to measure by: ${wayOut(pool.kind)}`;
    throw new MillraceError('PROFILE_UNMEASURED', `${model}: ${message}`, { fields: [{ field: model, message }] });
  }
  const sampled = await sampleBatches(subject, pool.kind, example);
  return { profile: profileOfBatches(of, sampled), calls: sampled.calls };
}
