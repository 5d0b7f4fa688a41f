import type { Times } from './measurements.js';

/** A run of a benchmark of an LLM server. Lengths are means of its requests. */
export interface LlmRun {
  readonly model: string;
  /** Requests that were allowed at once. */
  readonly concurrency: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly ttftMs: Times;
  readonly tpotMs: Times;
  /** Tokens that all requests together generated in a second. Absent: not stated, and as many requests ran at once as were allowed. */
  readonly tokensPerSecond?: number | undefined;
}

/** A run with the sequences that ran at once. */
export interface Step extends LlmRun {
  readonly batch: number;
}

const meanOf = ({ p50Ms, meanMs = p50Ms }: Times): number => meanMs;

/** As many sequences as were allowed are taken to have run from this share of them on: the last requests of a run leave places empty. */
const FULL = 0.8;

/**
 * The steps of decoding, from benchmarks with a limit of requests at once.
 *
 * Of a run let X be its requests a millisecond, O the output tokens of a request, and p the time of its prompt alone. TPOT, or the latency
 * between tokens, is (latency - TTFT) / (O - 1) in vLLM, GenAI-Perf and AIPerf: a request decodes for D = (O - 1) TPOT.
 *
 * **Sequences at once.** The limit is no measurement: there may be fewer requests, or the server may run fewer, and the others wait, which is
 * in TTFT and not in TPOT. By Little's law, M = X (D + p) sequences were worked on, on average. X follows from the throughput, or by the same law
 * for all requests, the waiting ones included, from limit = X (TTFT + D). X p is at most 1, as prompts take the device in turn.
 */
export const stepsOf = (runs: readonly LlmRun[]): readonly Step[] =>
  runs
    .map((run) => {
      const { concurrency } = run;
      const worked = sequencesAtOnce(run, meanOf(run.ttftMs));
      return { ...run, batch: worked < FULL * concurrency ? Math.max(1, Math.round(worked)) : concurrency };
    })
    .sort((a, b) => a.batch - b.batch);

/** M of `stepsOf`. */
function sequencesAtOnce(run: LlmRun, promptMs: number): number {
  const { concurrency, tokensOut, ttftMs, tpotMs, tokensPerSecond } = run;
  const decodeMs = Math.max(0, tokensOut - 1) * meanOf(tpotMs);
  const perMs =
    tokensPerSecond === undefined
      ? concurrency / (meanOf(ttftMs) + decodeMs)
      : tokensPerSecond / tokensOut / MS_A_SECOND;
  return Math.min(concurrency, perMs * decodeMs + Math.min(1, perMs * promptMs));
}
const MS_A_SECOND = 1_000;
