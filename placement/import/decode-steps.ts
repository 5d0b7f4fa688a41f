import { meanPromptAt, promptCurve } from '../simulator/index.js';
import { rising, type Times } from './measurements.js';

/** A run of a benchmark of an LLM server. Lengths are means of its requests. */
export interface LlmRun {
  readonly model: string;
  /** Requests that were allowed at once. */
  readonly concurrency: number;
  /** Requests of the run, n of `stepsOf`. Absent: not stated, and far more than were allowed at once. */
  readonly requests?: number | undefined;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly ttftMs: Times;
  readonly tpotMs: Times;
  /** Tokens that all requests together generated in a second. Absent: not stated, and as many requests ran at once as were allowed. */
  readonly tokensPerSecond?: number | undefined;
}

/** The step of a run. */
export interface Step extends LlmRun {
  /** Sequences that ran at once. */
  readonly batch: number;
  /** Without the time of prompts, if that is known. */
  readonly stepMs: Times;
}

/** As many sequences as were allowed are taken to have run from this share of them on: the last requests of a run leave places empty. */
const FULL = 0.8;
/** Lengths of runs are averages of their requests: those that differ by less are the same. */
const ALIKE = 1.1;
export const areAlike = (a: number, b: number): boolean => Math.max(a, b) <= ALIKE * Math.min(a, b);
/** Of a step with longer prompts: it reads the weights too, which is at least this share of it. */
const LEAST_SHARE = 0.5;
const MS_A_SECOND = 1_000;

const meanOf = ({ p50Ms, meanMs = p50Ms }: Times): number => meanMs;

/**
 * The steps of decoding, by the sequences in them, from benchmarks with a limit of requests at once.
 *
 * Of a run let X be its requests a millisecond, O the output tokens of a request, and p the time of its prompt alone, from the runs with one
 * request at a time, but no more than its TTFT: times of much shorter prompts say little of it. TPOT, or inter-token latency, is
 * (latency - TTFT) / (O - 1) in vLLM, GenAI-Perf and AIPerf: a request decodes for D = (O - 1) TPOT.
 *
 * **Sequences at once.** The limit is no measurement: there may be fewer requests, or the server may run fewer, and the others wait, which is
 * in TTFT and not in TPOT. By Little's law (the mean number in a system is the rate of arrivals times the mean time in it) M = X (D + p)
 * sequences were worked on, on average. X follows from the throughput, or by the same law for all requests, the waiting ones included,
 * from limit = X (TTFT + D). X p is at most 1, as prompts take the device in turn.
 *
 * **The step.** TPOT is longer than a step: while a request decodes, the device also processes prompts of others, alone or beside a step, which
 * then takes as much longer. In the time D + p in which a request is worked on, X (D + p) = M prompts are processed. One is its own, the others fall
 * into D, the rest of which are O - 1 steps: (O - 1) step = D - (M - 1) p. The simulator (`Sequences`) adds each prompt's time to the
 * steps beside it, and so gets back TPOT, and the throughput: 1 / X = p + (O - 1) step / M. No more than
 * (k - 1) (1 - k / 2n) fall into D on average, k being the limit, or the n requests of the run if these are fewer: of the last k, each has
 * only the prompts of those that began after it, half of k - 1. A throughput of requests of unequal lengths has that in it already, as fewer run at the end.
 *
 * A step takes no less than one of fewer sequences with no longer prompts, and than half of one with longer prompts, whatever p takes away:
 * short prompts that share a step take less than p each. Where no run had one request at a time p is not known, and TPOT counts as the step.
 */
export function stepsOf(runs: readonly LlmRun[]): readonly Step[] {
  const alone = runs.filter(({ concurrency }) => concurrency === 1);
  const curve = promptCurve(alone.map(({ tokensIn, ttftMs }) => ({ tokens: tokensIn, ...rising(ttftMs) })));
  const steps: Step[] = [];
  const counted = runs
    .map((run) => {
      const ttftMs = meanOf(run.ttftMs);
      const promptMs = alone.length > 0 ? Math.min(ttftMs, meanPromptAt(curve, run.tokensIn, 0)) : undefined;
      const worked = sequencesAtOnce(run, promptMs ?? ttftMs);
      const batch = worked < FULL * run.concurrency ? Math.max(1, Math.round(worked)) : run.concurrency;
      return { run, batch, promptsMs: Math.max(0, Math.min(worked - 1, mostOthers(run))) * (promptMs ?? 0) };
    })
    .sort((a, b) => a.batch - b.batch || a.run.concurrency - b.run.concurrency);
  for (const { run, batch, promptsMs } of counted) {
    const shareOf = ({ tokensIn }: Step) => (tokensIn <= ALIKE * run.tokensIn ? 1 : LEAST_SHARE);
    const least = Math.max(0, ...steps.map((step) => shareOf(step) * meanOf(step.stepMs)));
    const tpotMs = meanOf(run.tpotMs);
    const more = run.tokensOut - 1;
    const ms = more > 0 ? Math.min(tpotMs, Math.max(least, tpotMs - promptsMs / more)) : tpotMs;
    steps.push({ ...run, batch, stepMs: scaled(run.tpotMs, ms / tpotMs) });
  }
  return steps;
}

/** M of `stepsOf`. */
function sequencesAtOnce(
  { concurrency, tokensOut, ttftMs, tpotMs, tokensPerSecond }: LlmRun,
  promptMs: number,
): number {
  const decodeMs = Math.max(0, tokensOut - 1) * meanOf(tpotMs);
  const perMs =
    tokensPerSecond === undefined
      ? concurrency / (meanOf(ttftMs) + decodeMs)
      : tokensPerSecond / tokensOut / MS_A_SECOND;
  return Math.min(concurrency, perMs * decodeMs + Math.min(1, perMs * promptMs));
}

/** Most prompts of others, on average, while a request decodes: see `stepsOf`. */
function mostOthers({ concurrency, requests = Number.POSITIVE_INFINITY }: LlmRun): number {
  const atOnce = Math.min(concurrency, requests);
  return (atOnce - 1) * (1 - atOnce / (2 * requests));
}

/** Times multiplied by a factor, to a microsecond. */
function scaled({ p50Ms, p95Ms, p99Ms, meanMs }: Times, factor: number): Times {
  const of = (ms: number) => Math.round(ms * factor * 1_000) / 1_000;
  return {
    p50Ms: of(p50Ms),
    ...(p95Ms !== undefined && { p95Ms: of(p95Ms) }),
    ...(p99Ms !== undefined && { p99Ms: of(p99Ms) }),
    ...(meanMs !== undefined && { meanMs: of(meanMs) }),
  };
}
