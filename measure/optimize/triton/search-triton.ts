import { loadavg } from 'node:os';
import type { Backend, BatchWork } from '../../../activities/connectors/index.js';
import { MillraceError, messageOf } from '../../../pipelines/errors.js';
import { steady, timed } from '../../profiling/sampling.js';
import { beats } from '../pareto.js';
import type { SearchedCalls } from './calls.js';
import { type Load, measureLoad } from './load.js';
import { coordinateSearch } from './search.js';
import type { Candidate, Space, TriedSettings } from './settings.js';
import type { TrialModel } from './trial-model.js';

/** The model whose settings are searched, at its server. */
export interface TritonSubject extends SearchedCalls {
  readonly kind: string;
  readonly backend: Backend;
  readonly space: Space;
}

export interface TritonSearchOptions {
  readonly concurrency: number;
  /** Candidates that are measured at most, the author's settings included. */
  readonly trials: number;
  /** After it no further candidate is begun. The comparison at the end comes on top. */
  readonly timeLimitMs: number;
  /** Longest 95th percentile of a call that settings may have to be chosen. */
  readonly sloP95Ms?: number | undefined;
  readonly windowMs?: number;
  readonly signal: AbortSignal;
  readonly onStep: (detail: string) => void;
}

/** A candidate that was measured. */
export interface Trial extends TriedSettings, Load {
  /** Mean number of calls in a batch, by the server's own count. */
  readonly meanBatch: number;
}

export interface TritonFound {
  /** In the order in which they were measured; the author's settings first. */
  readonly trials: readonly (Trial & { readonly onFront: boolean })[];
  /** Candidates that do not load, or whose calls fail. */
  readonly failed: readonly { readonly settings: TriedSettings; readonly why: string }[];
  /** The author's settings and the best ones, measured in turn after the search; absent if none was better. */
  readonly compared?: { readonly author: readonly Load[]; readonly best: readonly Load[] };
  /** The best settings, or the author's if the comparison does not confirm them. */
  readonly chosen: TriedSettings;
  readonly confirmed: boolean;
  /** `config.pbtxt` with the chosen settings. */
  readonly config: string;
  /** Of the machine, over the last 1, 5 and 15 minutes. */
  readonly load: readonly number[];
}

/** Two measurements of one candidate differ by less on an idle machine. */
const MARGIN = 0.05;
const WINDOW_MS = 500;
/** Rounds of the comparison at the end, in which the author's settings and the best ones take turns. */
const ROUNDS = 2;

/**
 * Searches the batch and instance settings of a model by measuring candidates on the trial model beside it: each is loaded, warmed up, and
 * called with a constant number of calls in flight. Throws what the connector throws if the author's own settings cannot be measured, and
 * what `signal` is aborted with.
 */
export async function searchTriton(
  subject: TritonSubject,
  trialModel: Pick<TrialModel, 'name' | 'use'>,
  options: TritonSearchOptions,
): Promise<TritonFound> {
  const { space } = subject;
  const { trials: most, timeLimitMs, sloP95Ms, signal, onStep } = options;
  const measured = new Map<string, Trial | undefined>();
  const failed: { settings: TriedSettings; why: string }[] = [];
  const until = performance.now() + timeLimitMs;
  const measure = async (candidate: Candidate): Promise<Trial> => {
    const settings = space.settingsOf(candidate);
    await trialModel.use(space.configOf(candidate), signal);
    return { ...settings, ...(await loaded(subject, trialModel.name, options)) };
  };
  const tryOut = async (candidate: Candidate): Promise<Trial | undefined> => {
    const settings = space.settingsOf(candidate);
    const key = JSON.stringify(settings);
    if (measured.has(key)) return measured.get(key);
    signal.throwIfAborted();
    onStep(`trial ${measured.size + 1}: ${told(settings)}`);
    let trial: Trial | undefined;
    try {
      trial = await measure(candidate);
    } catch (error) {
      signal.throwIfAborted();
      if (isGone(error)) throw error;
      failed.push({ settings, why: messageOf(error) });
    }
    measured.set(key, trial);
    return trial;
  };
  onStep(`trial 1, the settings of the author: ${told(space.settingsOf(space.start))}`);
  const first = await measure(space.start);
  measured.set(JSON.stringify(space.settingsOf(space.start)), first);
  const better = betterUnder(sloP95Ms);
  const best = await coordinateSearch(first, {
    ...{ start: space.start, steps: space.steps, tryOut, better },
    spent: () => measured.size >= most || performance.now() > until,
  });
  const compared = best.at === space.start ? undefined : await inTurn(space.start, best.at, measure, onStep);
  const confirmed = compared !== undefined && better(meanOf(compared.best), meanOf(compared.author));
  const chosen = confirmed ? best.at : space.start;
  const trials = [...measured.values()].filter((trial) => trial !== undefined);
  return {
    trials: trials.map((trial) => ({
      ...trial,
      onFront: !trials.some((other) => beats(costsOf(other), costsOf(trial))),
    })),
    ...{ failed, confirmed, chosen: space.settingsOf(chosen), config: space.configOf(chosen) },
    ...(compared && { compared }),
    load: loadavg().map((value) => Number(value.toFixed(2))),
  };
}

/** What the trial model does now under the load. */
async function loaded(
  { backend, kind, example, size, audio }: TritonSubject,
  model: string,
  { concurrency, windowMs = WINDOW_MS, signal }: TritonSearchOptions,
): Promise<Load & { readonly meanBatch: number }> {
  const from = Math.floor(Math.random() * 1e9) * 1_000;
  const call = (serial: number, own: AbortSignal) =>
    timed(
      { backend, model, audio, signal: own },
      { kind, with: example.with, input: example.input(size, from + serial) },
    );
  let warmUps = 0;
  await steady(() => {
    warmUps += 1;
    return call(-warmUps, signal);
  });
  const batches = await batchesOf(backend, model, signal);
  const load = await measureLoad(call, { concurrency, windowMs, signal });
  return { ...load, meanBatch: meanBatch(batches, await batchesOf(backend, model, signal)) };
}

const batchesOf = async (backend: Backend, model: string, signal: AbortSignal): Promise<readonly BatchWork[]> =>
  (await backend.work?.(model, signal))?.batches ?? [];

function meanBatch(before: readonly BatchWork[], after: readonly BatchWork[]): number {
  const sums = (all: readonly BatchWork[]) => ({
    batches: all.reduce((sum, { count }) => sum + count, 0),
    calls: all.reduce((sum, { size, count }) => sum + size * count, 0),
  });
  const [from, to] = [sums(before), sums(after)];
  return to.batches > from.batches ? Number(((to.calls - from.calls) / (to.batches - from.batches)).toFixed(2)) : 1;
}

/** Instances stand for the memory that each takes. */
const costsOf = (trial: Trial): readonly number[] => [-trial.callsPerS, trial.p95Ms, trial.instance_count];

type Weighed = Pick<Load, 'callsPerS' | 'p95Ms'>;

/** More calls a second, within the objective; of two that miss it, the one that misses it by less. */
const betterUnder =
  (sloP95Ms = Number.POSITIVE_INFINITY) =>
  (one: Weighed, other: Weighed): boolean => {
    const [meets, met] = [one.p95Ms <= sloP95Ms, other.p95Ms <= sloP95Ms];
    if (meets !== met) return meets;
    if (!meets) return one.p95Ms < other.p95Ms * (1 - MARGIN);
    return one.callsPerS > other.callsPerS * (1 + MARGIN);
  };

/** The winner of many noisy measurements is lucky by selection: it is measured again, beside what it is to replace. */
async function inTurn(
  author: Candidate,
  best: Candidate,
  measure: (candidate: Candidate) => Promise<Trial>,
  onStep: (detail: string) => void,
): Promise<{ readonly author: readonly Load[]; readonly best: readonly Load[] }> {
  const found = { author: [] as Load[], best: [] as Load[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    onStep(`comparing the best settings with the author’s, ${round + 1} of ${ROUNDS}`);
    found.author.push(loadOf(await measure(author)));
    found.best.push(loadOf(await measure(best)));
  }
  return found;
}

const loadOf = ({ callsPerS, p50Ms, p95Ms, calls, steady: isSteady }: Trial): Load => ({
  ...{ callsPerS, p50Ms, p95Ms, calls },
  steady: isSteady,
});

const meanOf = (loads: readonly Load[]): Weighed => ({
  callsPerS: loads.reduce((sum, { callsPerS }) => sum + callsPerS, 0) / loads.length,
  p95Ms: loads.reduce((sum, { p95Ms }) => sum + p95Ms, 0) / loads.length,
});

/** The server is not there any more: no other candidate would do better. */
const isGone = (error: unknown): boolean => error instanceof MillraceError && error.code === 'BACKEND_UNAVAILABLE';

const told = (settings: TriedSettings): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? `[${value.join(', ')}]` : (value ?? 'no batcher')}`)
    .join(', ');
