import { setTimeout as sleep } from 'node:timers/promises';
import type { Batching, ServerWork } from '../../activities/connectors/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { BatchSamples } from '../../placement/profiles/index.js';
import { type Example, typicalOf } from './examples.js';
import { Cells, leastSamples, median, rounds, type Subject, settles, steady, timed } from './sampling.js';

/** A server counts a call a moment after it has answered it. */
const COUNTED_WITHIN_MS = 2_000;
/** Workers' canaries come every 15 s: of four consecutive bursts one is undisturbed. */
const TRIES = 4;
/** Share of a call's time after which the server has certainly started it and certainly not finished it. */
const BEGUN = 0.3;

/**
 * Times of a model served by batches, by batch size and input size. If the server keeps statistics, each burst's
 * batches are read from them, without queue time, and the rest of a call's time is its overhead. Otherwise the time
 * from a burst's start to its last answer is used. Each shape, a batch size with an input size, is called before it is
 * measured, until two bursts take about as long: servers compile per shape, or search for algorithms. Once that takes as long
 * as the time limit, the other shapes are called once. Throws `PROFILE_UNMEASURED` if other clients call the model all the time.
 */
export async function sampleBatches(subject: Subject, kind: string, example: Example): Promise<BatchSamples> {
  const meter = await Meter.of(subject, kind, example);
  const { batching } = meter;
  // Without a size variable there are no sizes to choose.
  const sizes = (example.variable === undefined ? undefined : subject.sizes) ?? example.sizes;
  const batches = subject.batches.filter((batch) => batch === 1 || batching === undefined || batch <= batching.most);
  const until = performance.now() + subject.timeLimitMs;
  for (const size of sizes) for (const batch of batches) await steady(() => meter.burst(batch, size), until);
  meter.forget();
  await rounds(subject, async () => {
    for (const size of sizes) for (const batch of batches) await meter.undisturbed(batch, size);
  });
  const cells = sizes.flatMap((size) =>
    meter.batches(sizes).map((batch) => ({
      batch,
      ...(example.variable !== undefined && { size }),
      ms: meter.cells.of(`${batch}/${size}`),
    })),
  );
  if (!cells.some(({ batch }) => batch === 1)) {
    const message = `other clients called it ${meter.disturbed} times during the measurement; profile it while it is idle`;
    throw new MillraceError('PROFILE_UNMEASURED', `${subject.model}: ${message}`, {
      endpoint: subject.backend.endpoint,
      fields: [{ field: subject.model, message }],
    });
  }
  return {
    cells,
    overheadMs: meter.overheadMs,
    preferred: batching?.preferred ?? [],
    ...(example.variable !== undefined && { size: { variable: example.variable, typical: typicalOf(sizes) } }),
    calls: meter.calls,
  };
}

type Key = `${number}/${number}`;

class Meter {
  cells = new Cells<Key>();
  overheadMs: number[] = [];
  calls = 0;
  disturbed = 0;
  /** Number of the last input: no two calls have the same, those that are not measured included. */
  #serial = 0;
  readonly #subject: Subject;
  readonly #kind: string;
  readonly #example: Example;

  private constructor(
    subject: Subject,
    kind: string,
    example: Example,
    readonly batching: Batching | undefined,
  ) {
    this.#subject = subject;
    this.#kind = kind;
    this.#example = example;
  }

  static async of(subject: Subject, kind: string, example: Example): Promise<Meter> {
    const { backend, model, signal } = subject;
    return new Meter(subject, kind, example, await backend.batching?.(model, signal));
  }

  /** Batch sizes with enough samples of every input size. */
  batches(sizes: readonly number[]): readonly number[] {
    const seen = [...new Set(this.cells.keys.map((key) => Number(key.split('/')[0])))].sort((a, b) => a - b);
    return seen.filter((batch) =>
      sizes.every((size) => this.cells.of(`${batch}/${size}`).length >= leastSamples(this.#subject)),
    );
  }

  /** Leaves out all samples and calls so far. */
  forget(): void {
    this.cells = new Cells();
    this.overheadMs = [];
    this.calls = 0;
  }

  /** A burst without other clients' calls, within a few tries. */
  async undisturbed(batch: number, size: number): Promise<void> {
    for (let i = 0; i < TRIES; i += 1) {
      if (await this.burst(batch, size)) return;
      this.disturbed += 1;
    }
  }

  /**
   * Concurrent calls that the server should combine into one batch. False: other clients called the model meanwhile.
   */
  async burst(batch: number, size: number): Promise<boolean> {
    const before = await this.#work();
    // While each instance computes a call, the others wait and are taken together.
    const { instances = 0, delayMs = 0 } = this.batching ?? {};
    const ahead = batch > 1 && before !== undefined ? instances : 0;
    const startedAt = performance.now();
    const first = Array.from({ length: ahead }, () => this.#call(size));
    // Calls that arrive before the server has started, or while it waits for more, would join the first batch.
    if (ahead > 0) await sleep(delayMs + BEGUN * this.#aloneMs(size));
    await Promise.all([...first, ...Array.from({ length: batch }, () => this.#call(size))]);
    const wallMs = performance.now() - startedAt;
    if (before !== undefined) return this.#count(before, ahead + batch, size, wallMs);
    this.cells.add(`${batch}/${size}`, wallMs);
    return true;
  }

  /** Median time of a single call so far; 0 while unknown. */
  #aloneMs(size: number): number {
    return median(this.cells.of(`1/${size}`)) ?? 0;
  }

  #call(size: number): Promise<unknown> {
    this.calls += 1;
    this.#serial += 1;
    const input = this.#example.input(size, this.#serial);
    return timed(this.#subject, { kind: this.#kind, with: this.#example.with, input });
  }

  async #count(before: ServerWork, count: number, size: number, wallMs: number): Promise<boolean> {
    let after = before;
    await settles(async () => {
      after = (await this.#work()) ?? before;
      return after.requests - before.requests >= count;
    }, COUNTED_WITHIN_MS);
    if (after.requests - before.requests !== count) return false;
    const computeMs = after.computeMs - before.computeMs;
    if (count === 1) {
      this.cells.add(`1/${size}`, computeMs);
      this.overheadMs.push(Math.max(0, wallMs - computeMs - (after.queueMs - before.queueMs)));
      return true;
    }
    for (const batch of after.batches ?? []) {
      const earlier = before.batches?.find((each) => each.size === batch.size);
      const times = batch.count - (earlier?.count ?? 0);
      const ms = (batch.computeMs - (earlier?.computeMs ?? 0)) / times;
      if (times > 0 && batch.size > 1) this.cells.add(`${batch.size}/${size}`, ...new Array<number>(times).fill(ms));
    }
    return true;
  }

  /** Undefined if the server keeps no statistics that distinguish batches. */
  async #work(): Promise<ServerWork | undefined> {
    const { backend, model, signal } = this.#subject;
    const work = await backend.work?.(model, signal);
    return work?.batches === undefined ? undefined : work;
  }
}
