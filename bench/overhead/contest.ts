import pMap from 'p-map';
import { median, round } from '../figures.js';
import type { Side } from './side.js';

export type Start = () => Promise<unknown>;

/** One side of a comparison: how a run is started, and the worker that carries it out. */
export interface Contender {
  readonly start: Start;
  readonly side: Side;
}

export interface Figures {
  readonly millraceMs: number;
  readonly handWrittenMs: number;
  /** Ratio of the median latencies. */
  readonly ratio: number;
  readonly millraceRunsPerS: number;
  readonly handWrittenRunsPerS: number;
  readonly throughputRatio: number;
  /** CPU time of the worker's process per run, in milliseconds. */
  readonly millraceCpuMs: number;
  readonly handWrittenCpuMs: number;
}

export const RUNS_A_ROUND = { 1: 20, 16: 64 } as const;

/** Latency of each of `count` runs, `inFlight` at a time. */
export async function measure(start: Start, count: number, inFlight: number): Promise<number[]> {
  const timed = async () => {
    const began = performance.now();
    await start();
    return performance.now() - began;
  };
  return await pMap(Array.from({ length: count }), timed, { concurrency: inFlight });
}

interface Series {
  readonly latencies: number[];
  readonly runsPerS: number[];
  readonly cpuMs: number[];
}

async function turn({ start, side }: Contender, inFlight: 1 | 16, into: Series): Promise<void> {
  const count = RUNS_A_ROUND[inFlight];
  const cpuBefore = await side.cpuMs();
  const began = performance.now();
  into.latencies.push(...(await measure(start, count, inFlight)));
  into.runsPerS.push((count * 1_000) / (performance.now() - began));
  into.cpuMs.push(((await side.cpuMs()) - cpuBefore) / count);
}

/** Both sides in turn, round by round, so that changes of the machine's speed affect both. */
export async function compare(
  millrace: Contender,
  handWritten: Contender,
  inFlight: 1 | 16,
  rounds: number,
): Promise<Figures> {
  const ours: Series = { latencies: [], runsPerS: [], cpuMs: [] };
  const theirs: Series = { latencies: [], runsPerS: [], cpuMs: [] };
  for (let i = 0; i < rounds; i++) {
    const turns = [() => turn(millrace, inFlight, ours), () => turn(handWritten, inFlight, theirs)];
    for (const take of i % 2 === 0 ? turns : turns.reverse()) await take();
  }
  return {
    millraceMs: round(median(ours.latencies), 1),
    handWrittenMs: round(median(theirs.latencies), 1),
    ratio: round(median(ours.latencies) / median(theirs.latencies), 3),
    millraceRunsPerS: round(median(ours.runsPerS), 1),
    handWrittenRunsPerS: round(median(theirs.runsPerS), 1),
    throughputRatio: round(median(ours.runsPerS) / median(theirs.runsPerS), 2),
    millraceCpuMs: round(median(ours.cpuMs), 1),
    handWrittenCpuMs: round(median(theirs.cpuMs), 1),
  };
}
