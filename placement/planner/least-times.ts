import {
  callsIn,
  firstContinuous,
  isCached,
  isTaken,
  type Load,
  mayBeLate,
  numbered,
  type Observed,
  type SimulatedStage,
  sortedNumbers,
} from '../simulator/index.js';
import type { Draft } from './drafts.js';
import { failingRuns } from './failing-runs.js';
import { type LeastCall, leastCall } from './least-calls.js';
import { endsAfter } from './paths.js';
import { type Pieces, piecesAt } from './stream-pieces.js';

/** What is known of the runs before any placement is. */
interface Known {
  readonly load: Load;
  readonly stages: readonly SimulatedStage[];
  /** By pool: the ways to serve it, and the pool whose prompts it processes. */
  readonly drafts: readonly (readonly Draft[])[];
  readonly handsTo: readonly ({ readonly pool: number } | undefined)[];
  /** By stage: how it reads a stream; undefined: it reads none, or nobody knows its pieces. */
  readonly pieces: readonly (Pieces | undefined)[];
  readonly seed: number;
}

/** A way to serve a part of a stage's calls: all of them or, of a model served apart, the prompts or the answers. */
interface Way extends LeastCall {
  readonly draft: Draft;
}

/**
 * The least times of the runs of a load, in milliseconds.
 *
 * **Claim.** No run that ends on a placement of these drafts, simulated with this seed, ends or has a figure sooner.
 *
 * **Proof.** Which stages a run calls, how often, and which of the calls a cache answers, depends on draws that are the same on all placements. A call
 * takes no less than `leastCall` says for its own run and the fastest of the drafts: waits, neighbours and failed attempts come on top. A stage ends
 * after each of its calls, and begins when those that it waits for have ended; of a stream the last piece is read when its maker has made it, on its device.
 * A reader that serves no call ends when it begins, which is after the stages that its maker waits for. These times add up along each path of the
 * run. Nothing is added that belongs to different runs, as a long prompt and a long answer may.
 */
export class LeastTimes {
  readonly #known: Known;
  /** By stage, the ways to serve each part of its calls. */
  readonly #parts: readonly (readonly (readonly Way[])[])[];
  /** By stage: what it takes of every run; NaN: that differs between runs. */
  readonly #fixedMs: Float64Array;
  readonly #perRequest: number;
  readonly #firstCall: Int32Array;
  /** By pipeline. */
  readonly #stagesOf: readonly (readonly number[])[];
  /** By stage: from the arrival of the run that was looked at last to its end. Valid for the stages of that run's pipeline. */
  readonly #untilMs: Float64Array;
  readonly #fails: Uint8Array;
  /** Runs that fail on any placement. They have no times. */
  readonly failing: number;
  /** By run, from its arrival to its end; NaN: it fails. */
  readonly wholeMs: Float64Array;

  constructor(known: Known) {
    const { load, stages, drafts, handsTo, seed } = known;
    this.#known = known;
    const { perRequest, firstCall, stagesOf } = numbered(stages);
    this.#perRequest = perRequest;
    this.#firstCall = firstCall;
    this.#stagesOf = stagesOf;
    this.#untilMs = new Float64Array(stages.length);
    this.#fails = failingRuns(load, stages, seed);
    this.failing = this.#fails.reduce((sum, fails) => sum + fails, 0);
    this.#parts = stages.map(({ pool }, v) =>
      drafts.flatMap((own, p) => (p === pool || handsTo[p]?.pool === pool ? [this.#waysOf(own, v)] : [])),
    );
    this.#fixedMs = Float64Array.from(stages, (stage, v) => this.#fixedOf(stage, v));
    this.wholeMs = load.timesMs.map((_, run) => (this.#fails[run] === 1 ? Number.NaN : this.#endMs(run)));
  }

  #waysOf(drafts: readonly Draft[], v: number): readonly Way[] {
    const { load, stages, pieces } = this.#known;
    const own = pieces[v];
    const isRead = stages[v]?.streamFrom !== undefined;
    const divided = own ? piecesAt(load, own) : isRead ? () => Number.POSITIVE_INFINITY : undefined;
    return drafts.flatMap((draft): Way[] => {
      const table = draft.tables[v];
      const steps = firstContinuous(draft.tables)?.steps;
      return table ? [{ draft, ...leastCall(table, load, steps, divided) }] : [];
    });
  }

  #fixedOf({ share, fanOut, cacheHitRate, overheadMs, streamFrom }: SimulatedStage, v: number): number {
    const isSame = share >= 1 && fanOut === undefined && cacheHitRate === 0 && streamFrom === undefined;
    const isFixed = (this.#parts[v] ?? []).every((ways) => ways.every((way) => way.isFixed));
    return isSame && isFixed ? overheadMs + this.#sum(v, ({ whole }) => whole(0)) : Number.NaN;
  }

  /** By stage, what it takes of a run from when its inputs are there; 0 of stages that the run does not call. */
  stagesMs(run: number): readonly number[] {
    return this.#known.stages.map((_, v) => this.#stageMs(v, run));
  }

  /** By stage, the same of the run of its pipeline that is in the middle of all by its whole time; 0 if all of them fail. */
  usualMs(): readonly number[] {
    const { load, stages } = this.#known;
    const middle = new Map<number, number>();
    for (const p of new Set(stages.map(({ pipeline }) => pipeline))) {
      const sorted = sortedNumbers(this.wholeMs.filter((_, run) => load.pipelines[run] === p));
      const usual = sorted[sorted.length >> 1];
      middle.set(
        p,
        this.wholeMs.findIndex((ms, run) => ms === usual && load.pipelines[run] === p),
      );
    }
    return stages.map(({ pipeline }, v) => {
      const run = middle.get(pipeline) ?? -1;
      return run < 0 ? 0 : this.#stageMs(v, run);
    });
  }

  /** Of the ways to serve a stage, without its prompts if these are served apart, the fastest one for a run. */
  fastest(v: number, run: number): Draft | undefined {
    const { stages, drafts } = this.#known;
    const own = drafts[stages[v]?.pool ?? 0] ?? [];
    const ways = (this.#parts[v] ?? []).flat().filter(({ draft }) => own.includes(draft));
    return ways.sort((a, b) => a.whole(run) - b.whole(run))[0]?.draft;
  }

  /** By run, the least value of a figure of a stage; NaN: the run fails, or does not have it. */
  figureMs({ stage: v, metric }: Observed): Float64Array {
    return this.#known.load.timesMs.map((_, run) => {
      const calls = this.#calls(v, run);
      if (this.#fails[run] === 1 || calls === 0) return Number.NaN;
      if (metric === 'whole') return this.#stageMs(v, run);
      if (metric === 'first') {
        this.#endMs(run);
        return this.#firstMs(v, run);
      }
      if (this.#cached(v, run, calls) === calls) return Number.NaN;
      const parts = (this.#parts[v] ?? []).map((ways) => leastOf(ways, ({ token }) => token(run)));
      return parts.find((ms) => !Number.isNaN(ms)) ?? Number.NaN;
    });
  }

  /** From a run's arrival to its end. */
  #endMs(run: number): number {
    const { load, stages } = this.#known;
    const until = this.#untilMs;
    const isIdle = (v: number) => this.isIdle(v, run);
    let end = 0;
    for (const v of this.#stagesOf[load.pipelines[run] as number] ?? []) {
      let begins = 0;
      const { streamFrom } = stages[v] as SimulatedStage;
      for (const u of endsAfter(stages, v, isIdle))
        begins = Math.max(begins, u === streamFrom ? this.#lastPieceMs(u, run) : (until[u] as number));
      until[v] = begins + this.#stageMs(v, run);
      end = Math.max(end, until[v] as number);
    }
    return end;
  }

  #stageMs(v: number, run: number): number {
    const { load, stages } = this.#known;
    const { pipeline, overheadMs, cacheHitMs, streamFrom } = stages[v] as SimulatedStage;
    const fixed = this.#fixedMs[v] as number;
    if (!Number.isNaN(fixed)) return load.pipelines[run] === pipeline ? fixed : 0;
    const calls = this.#calls(v, run);
    if (calls === 0) return 0;
    if (this.#cached(v, run, calls) === calls) return cacheHitMs;
    // Of a stream the overhead has passed with the first piece.
    return (streamFrom === undefined ? overheadMs : 0) + this.#sum(v, ({ whole }) => whole(run));
  }

  /** From the run's arrival to when a reader of a stage's stream may have all of it. */
  #lastPieceMs(v: number, run: number): number {
    const until = this.#untilMs[v] as number;
    if (this.isIdle(v, run)) return until;
    return until - this.#sum(v, ({ whole }) => whole(run)) + this.#sum(v, ({ lastPiece }) => lastPiece(run));
  }

  /** From the run's arrival to the first output of a stage. The reader of a stream begins with the first piece of its maker. */
  #firstMs(v: number, run: number, msOf = ({ first }: Way) => first(run)): number {
    const { after, overheadMs, cacheHitMs, streamFrom } = this.#known.stages[v] as SimulatedStage;
    const before = after.map((u) => {
      if (u !== streamFrom) return this.#untilMs[u] ?? 0;
      return this.#firstMs(u, run, ({ firstPiece }) => firstPiece(run));
    });
    const begins = Math.max(0, ...before);
    const calls = this.#calls(v, run);
    if (calls === 0) return begins;
    const served = overheadMs + this.#sum(v, msOf);
    return begins + (this.#cached(v, run, calls) > 0 ? Math.min(cacheHitMs, served) : served);
  }

  /** Whether a stage serves no call in a run: the run skips it, or a cache answers. */
  isIdle(v: number, run: number): boolean {
    const calls = this.#calls(v, run);
    return this.#cached(v, run, calls) === calls;
  }

  /** All parts of a call, each by its fastest way. */
  #sum(v: number, msOf: (way: Way) => number): number {
    return (this.#parts[v] ?? []).reduce((sum, ways) => sum + leastOf(ways, msOf), 0);
  }

  #calls(v: number, run: number): number {
    const { load, stages, seed } = this.#known;
    const stage = stages[v] as SimulatedStage;
    if (load.pipelines[run] !== stage.pipeline || !isTaken(stage, seed, run * stages.length + v)) return 0;
    return callsIn(stage, load, seed, run);
  }

  /** How many of these calls a cache answers. */
  #cached(v: number, run: number, calls: number): number {
    const { stages, seed } = this.#known;
    const stage = stages[v] as SimulatedStage;
    if (stage.cacheHitRate === 0) return 0;
    const first = run * this.#perRequest + (this.#firstCall[v] as number);
    let count = 0;
    for (let call = first; call < first + calls; call += 1) if (isCached(stage, seed, call)) count += 1;
    return count;
  }
}

const leastOf = (ways: readonly Way[], msOf: (way: Way) => number): number =>
  ways.reduce((least, way) => Math.min(least, msOf(way)), Number.POSITIVE_INFINITY);

/**
 * The least objective that these values may meet at a percentile: more of them exceed any other than may be late.
 *
 * @param failing runs more that may have a value, of which nothing is known
 */
export function attainableMs(values: Float64Array, share: number, failing: number): number {
  const sorted = sortedNumbers(values);
  return sorted[sorted.length - 1 - mayBeLate(sorted.length + failing, share)] ?? 0;
}
