import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend, BatchWork, Call } from '../../../../activities/connectors/index.js';

export interface BatchingOptions {
  readonly most?: number;
  /** Keeps no statistics and does not tell how it batches. */
  readonly silent?: boolean;
  /** Calls of others among the calls that have this place, from 1. */
  readonly others?: ReadonlySet<number>;
  readonly computeMs?: (batch: number, call: Call) => number;
}

/**
 * A server that batches what waits while it computes, and counts it; it says of each batch what it was meant to take, so that
 * what is read from its statistics is known to the millisecond.
 */
export function batchingBackend(options: BatchingOptions = {}): Backend & { readonly calls: readonly Call[] } {
  const { most = 8, silent = false, others = new Set(), computeMs = (batch: number) => 4 + batch } = options;
  const calls: Call[] = [];
  const waiting: { readonly call: Call; readonly done: () => void }[] = [];
  const batches = new Map<number, BatchWork>();
  const sums = { requests: 0, queueMs: 0, computeMs: 0 };
  let busy = false;
  async function compute(): Promise<void> {
    busy = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0, most);
      const [first] = batch;
      const ms = first ? computeMs(batch.length, first.call) : 0;
      await sleep(ms);
      const before = batches.get(batch.length) ?? { size: batch.length, count: 0, computeMs: 0 };
      batches.set(batch.length, { ...before, count: before.count + 1, computeMs: before.computeMs + ms });
      sums.requests += batch.length;
      sums.computeMs += ms * batch.length;
      for (const { done } of batch) done();
    }
    busy = false;
  }
  return {
    endpoint: 'test',
    calls,
    async invoke(call) {
      calls.push(call);
      if (others.has(calls.length)) sums.requests += 1;
      const served = new Promise<void>((done) => waiting.push({ call, done }));
      if (!busy) void compute();
      await served;
      return { output: {} };
    },
    probe: async () => undefined,
    fingerprint: async () => 'weights-1',
    server: async () => 'triton 2.51.0',
    ...(!silent && {
      work: async () => ({ ...sums, batches: [...batches.values()] }),
      batching: async () => ({ most, preferred: [4], delayMs: 0, instances: 1 }),
    }),
    close: () => undefined,
  };
}
