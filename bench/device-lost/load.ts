import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { PlacementDocument } from '../../placement/document/index.js';
import { place } from '../../placement/place.js';
import { queuesOf } from '../../placement/queues.js';
import { arrivals } from '../../placement/simulator/index.js';
import { RATE, threeStages } from './workload.js';

const POOL = { connector: 'triton', kind: 'infer', devices: [], capabilities: new Set<string>() };
/** Longer than the bench. */
const MOST = 10_000;

interface Ended {
  readonly at: number;
  readonly ms: number;
}

/** Runs arriving as a Poisson process, independent of earlier runs, as the placement assumes. */
export class Load {
  readonly #client: Client;
  readonly #queue: string;
  readonly #placement: PlacementDocument;
  readonly #stop = new AbortController();
  readonly #runs: Promise<void>[] = [];
  readonly ended: Ended[] = [];
  readonly failures: string[] = [];
  /** When each run began. */
  readonly began: number[] = [];
  #arriving: Promise<void> | undefined;

  constructor(client: Client, queue: string, placement: PlacementDocument) {
    this.#client = client;
    this.#queue = queue;
    this.#placement = placement;
  }

  begin(seed: number): void {
    this.#arriving = this.#arrive(seed);
  }

  /** Starts no more runs, and waits for those in progress. */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#arriving;
    await Promise.all(this.#runs);
  }

  /** Runs per second that started and ended between two times of `performance.now()`, and their 95th percentile. */
  between(from: number, to: number): { readonly arrived: number; readonly throughput: number; readonly p95Ms: number } {
    const perSecond = (count: number) => (1_000 * count) / (to - from);
    const arrived = perSecond(this.began.filter((at) => at >= from && at < to).length);
    const own = this.ended.filter(({ at }) => at >= from && at < to);
    const times = own.map(({ ms }) => ms).sort((a, b) => a - b);
    return { arrived, throughput: perSecond(own.length), p95Ms: times[Math.floor(0.95 * times.length)] ?? 0 };
  }

  async #arrive(seed: number): Promise<void> {
    const from = performance.now();
    for (const at of arrivals({ count: MOST, rate: RATE, seed })) {
      const wait = from + at - performance.now();
      if (wait > 0) await sleep(wait, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      if (this.#stop.signal.aborted) return;
      this.#runs.push(this.#run());
    }
  }

  async #run(): Promise<void> {
    const began = performance.now();
    const x = this.began.push(began) - 1;
    const { name, plan } = threeStages;
    try {
      const { output } = (await this.#client.workflow.execute(name, {
        taskQueue: this.#queue,
        workflowId: `${this.#queue}-${x}`,
        args: [
          { x: { dtype: 'FP32', shape: [1, 1], data: [x] } },
          {
            plan,
            placement: place(plan, () => POOL, this.#queue, queuesOf(this.#placement, this.#queue)),
            tenant: 'bench',
          },
        ],
      })) as { readonly output: { readonly y: { readonly data: readonly number[] } } };
      // Every stage adds one, so a skipped or repeated stage would change the result.
      if (output.y.data[0] !== x + 3) throw new Error(`run ${x} gave ${output.y.data[0]}`);
      const at = performance.now();
      this.ended.push({ at, ms: at - began });
    } catch (error) {
      this.failures.push(error instanceof Error ? `${error.message}: ${String(error.cause)}` : String(error));
    }
  }
}
