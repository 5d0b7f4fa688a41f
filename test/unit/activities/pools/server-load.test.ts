import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend, Pressure } from '../../../../activities/connectors/connector.js';
import { pressureIn } from '../../../../activities/connectors/openai/pressure.js';
import { CallQueue } from '../../../../activities/pools/call-queue.js';
import { Endpoint } from '../../../../activities/pools/endpoint.js';
import { ServerLoad } from '../../../../activities/pools/server-load.js';
import type { SharedSlots } from '../../../../activities/pools/shared-slots.js';
import { fastest } from '../../../support/fastest.js';

/** A server that reports what `now` says, asked `asked` times. */
function reporting(now: () => Pressure | undefined) {
  const backend = {
    asked: 0,
    async pressure() {
      backend.asked += 1;
      return now();
    },
  };
  return backend as unknown as Backend & { asked: number };
}

let closing: AbortController;
beforeEach(() => {
  vi.useFakeTimers();
  closing = new AbortController();
});
afterEach(() => {
  closing.abort();
  vi.useRealTimers();
});

function loaded(concurrency: number, calls: number, backend: Backend) {
  const load = new ServerLoad(closing.signal);
  load.join({}, concurrency, () => undefined);
  const leave = Array.from({ length: calls }, () => load.enter(backend));
  return { load, leave };
}

describe('the limit of a server', () => {
  it('falls to what the server works on once a queue lasts there, and rises again when nothing waits', async () => {
    let now: Pressure = { running: 4, waiting: 12 };
    const { load } = loaded(
      32,
      16,
      reporting(() => now),
    );
    expect(load.limit).toBe(32);
    await vi.advanceTimersByTimeAsync(300);
    expect(load.limit).toBe(32);
    await vi.advanceTimersByTimeAsync(300);
    expect(load.limit).toBe(6);
    expect(load.full).toBe(true);
    now = { running: 6, waiting: 0 };
    await vi.advanceTimersByTimeAsync(30_000);
    expect(load.limit).toBeGreaterThan(12);
  });

  it('is this worker’s share where other clients have requests there, which count as load', async () => {
    const { load } = loaded(
      32,
      8,
      reporting(() => ({ running: 16, waiting: 16 })),
    );
    await vi.advanceTimersByTimeAsync(600);
    expect(load.limit).toBe(6);
    expect(load.load).toBe(32);
  });

  it('does not rise while its cache is full', async () => {
    let now: Pressure = { running: 4, waiting: 4 };
    const { load } = loaded(
      32,
      8,
      reporting(() => now),
    );
    await vi.advanceTimersByTimeAsync(600);
    now = { running: 8, waiting: 0, cacheUse: 0.97 };
    await vi.advanceTimersByTimeAsync(5_000);
    expect(load.limit).toBe(6);
  });

  it('is the configured one where the server reports nothing, which is asked for once', async () => {
    const backend = reporting(() => undefined);
    const { load } = loaded(4, 4, backend);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(load.limit).toBe(4);
    expect(backend.asked).toBe(1);
  });

  it('is asked for only while there are calls', async () => {
    const backend = reporting(() => ({ running: 1, waiting: 0 }));
    const { leave } = loaded(4, 1, backend);
    await vi.advanceTimersByTimeAsync(1_000);
    for (const end of leave) end();
    await vi.advanceTimersByTimeAsync(1_000);
    const { asked } = backend;
    expect(asked).toBeGreaterThan(2);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(backend.asked).toBe(asked);
  });
});

describe('the concurrency of a server', () => {
  it('is the highest of the endpoints that are there, as they are configured now', () => {
    const load = new ServerLoad(closing.signal);
    const [one, other] = [{}, {}];
    load.join(one, 32, () => undefined);
    load.join(other, 16, () => undefined);
    expect([load.most, load.limit]).toEqual([32, 32]);
    load.join(one, 8, () => undefined);
    expect([load.most, load.limit]).toEqual([16, 16]);
    load.leave(other);
    expect([load.most, load.limit]).toEqual([8, 8]);
    load.leave(one);
    expect(load.most).toBe(8);
    load.join(other, 4, () => undefined);
    expect([load.most, load.limit]).toEqual([4, 4]);
  });

  it('serves the waiting calls of other pools when it rises', () => {
    const load = new ServerLoad(closing.signal);
    const served: string[] = [];
    const serve = (pool: string) => () => void served.push(pool);
    const [one, other] = [serve('one'), serve('other')];
    const endpoint = {};
    load.join(endpoint, 2, one);
    load.join({}, 2, other);
    expect(served).toEqual([]);
    load.join(endpoint, 8, one);
    expect(served).toEqual(['other']);
    load.join(endpoint, 4, one);
    expect(served).toEqual(['other']);
  });

  it('leaves a limit that the server has caused where it is', async () => {
    const endpoint = {};
    const load = new ServerLoad(closing.signal);
    load.join(endpoint, 32, () => undefined);
    for (let i = 0; i < 16; i++) load.enter(reporting(() => ({ running: 4, waiting: 12 })));
    await vi.advanceTimersByTimeAsync(600);
    expect(load.limit).toBe(6);
    load.join(endpoint, 64, () => undefined);
    expect(load.limit).toBe(6);
    load.join(endpoint, 4, () => undefined);
    expect(load.limit).toBe(4);
    load.join(endpoint, 32, () => undefined);
    expect(load.limit).toBe(6);
  });
});

describe('the calls that wait for the slots of a server', () => {
  /** Two pools at a server that has no free slot; `wanted` is what the store was last asked for. */
  function twoPools() {
    const load = new ServerLoad(closing.signal);
    const asked = { wanted: 0 };
    const wanted = (waiting: number) => {
      asked.wanted = waiting;
    };
    load.slots = { limit: 0, mayGrow: true, wanted } as unknown as SharedSlots;
    const pool = (url: string, concurrency = 32) => {
      const endpoint = new Endpoint({ url, device: 'gpu', concurrency } as never, {} as Backend, load);
      const queue = new CallQueue([endpoint], (away) => away);
      load.join(endpoint, concurrency, () => queue.next());
      return { endpoint, queue };
    };
    return { load, asked, pool, busy: pool('http://llm.test/v1'), idle: pool('http://llm.test/v1/') };
  }
  const wait = (queue: CallQueue) => void queue.acquire({ signal: closing.signal }).catch(() => undefined);

  it('are those of all pools there, whichever pool was looked at last', () => {
    const { load, asked, busy, idle } = twoPools();
    for (let i = 0; i < 3; i++) wait(busy.queue);
    expect(asked.wanted).toBe(3);
    load.changed();
    expect(asked.wanted).toBe(3);
    wait(idle.queue);
    expect(asked.wanted).toBe(4);
    load.leave(busy.endpoint);
    expect(asked.wanted).toBe(1);
  });

  it('are no longer those that have left the queue', () => {
    const { asked, busy } = twoPools();
    const caller = new AbortController();
    void busy.queue.acquire({ signal: caller.signal }).catch(() => undefined);
    expect(asked.wanted).toBe(1);
    caller.abort();
    expect(asked.wanted).toBe(0);
  });

  it('are no more than may be in flight at the endpoint of their pool', () => {
    const { asked, pool, busy } = twoPools();
    const { endpoint, queue } = pool('http://LLM.test/v1', 2);
    for (let i = 0; i < 5; i++) wait(queue);
    expect(asked.wanted).toBe(2);
    endpoint.outstanding = 1;
    queue.next();
    expect(asked.wanted).toBe(1);
    wait(busy.queue);
    expect(asked.wanted).toBe(2);
  });
});

/** Lines as the servers print them; those of SGLang from its documentation, the others also from real servers elsewhere. */
describe('a report of load', () => {
  it.each([
    [
      'vLLM, two engines',
      '# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine="0",model_name="m"} 3.0\nvllm:num_requests_running{engine="1",model_name="m"} 1.0\nvllm:num_requests_waiting{engine="0",model_name="m"} 2.0\nvllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25\nvllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.5',
      { running: 4, waiting: 2, cacheUse: 0.5 },
    ],
    [
      'SGLang',
      'sglang:num_running_reqs{model_name="m"} 7.0\nsglang:num_queue_reqs{model_name="m"} 1.0\nsglang:token_usage{model_name="m"} 0.9',
      { running: 7, waiting: 1, cacheUse: 0.9 },
    ],
    ['llama.cpp', 'llamacpp:requests_processing 2\nllamacpp:requests_deferred 5', { running: 2, waiting: 5 }],
    ['another', 'http_requests_total 5', undefined],
    ['half of one', 'vllm:num_requests_running NaN', undefined],
  ])('of %s', (_, text, expected) => {
    expect(pressureIn(text)).toEqual(expected);
  });

  it('is read in one pass, however many lines it has of one name', () => {
    const text = `${'vllm:num_requests_running 1\n'.repeat(100_000)}vllm:num_requests_waiting 0\nvllm:kv_cache_usage_perc 0.5\n`;
    const more = text + 'vllm:kv_cache_usage_perc 0.1\n'.repeat(200_000);
    expect(pressureIn(more)).toEqual({ running: 100_000, waiting: 0, cacheUse: 0.5 });
    expect(fastest(() => void pressureIn(more), 2)).toBeLessThan(2_000);
  });
});
