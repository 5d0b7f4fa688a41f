import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CallQueue } from '../../activities/pools/call-queue.js';
import { Endpoint } from '../../activities/pools/endpoint.js';
import { ServerLoad } from '../../activities/pools/server-load.js';
import { SharedSlots } from '../../activities/pools/shared-slots.js';
import { connected, createRedis } from '../../stores/redis/index.js';
import { recordingLogger } from '../support/caches.js';
import { freePort } from '../support/free-port.js';
import { address, until } from '../support/runs.js';
import { unlessStill } from '../support/unless-still.js';

const open = (url: string) => createRedis({ url, timeoutMs: 5_000, logger: recordingLogger().logger });
const redis = open(address('REDIS_URL'));
beforeAll(async () => expect(await connected(redis, 30_000)).toBe(true));
afterAll(() => redis.disconnect());

/** A worker that calls a server of `limit` slots as fast as it gets them; each call takes some milliseconds. */
class Worker {
  done = 0;
  /** Calls in flight now, of all workers of the test. */
  static inFlight = 0;
  static most = 0;
  readonly #load = new ServerLoad(new AbortController().signal);
  readonly slots: SharedSlots;
  #waiting = 0;
  #leave: (() => void)[] = [];

  constructor(server: string, limit: number, store = redis) {
    this.#load.join(this, limit, () => this.#next());
    this.slots = new SharedSlots({
      redis: store,
      server,
      worker: randomUUID(),
      limit: () => limit,
      changed: () => this.#next(),
    });
    this.#load.slots = this.slots;
  }

  call(count: number): void {
    this.#waiting += count;
    this.#next();
  }

  /** Takes what it can and keeps it. */
  hold(): void {
    while (!this.#load.full) this.#leave.push(this.#load.enter({} as never));
  }

  get held(): number {
    return this.#leave.length;
  }

  get idle(): boolean {
    return this.#waiting === 0;
  }

  #next(): void {
    while (this.#waiting > 0 && !this.#load.full) {
      this.#waiting -= 1;
      Worker.inFlight += 1;
      Worker.most = Math.max(Worker.most, Worker.inFlight);
      const leave = this.#load.enter({} as never);
      void sleep(5).then(() => {
        Worker.inFlight -= 1;
        this.done += 1;
        leave();
      });
    }
    this.#load.wanted(this, this.#waiting);
  }
}

// Whoever stands still for longer than a lease lasts has lost its slots, and learns it with its next renewal.
it('four workers together have no more calls in flight than one may, and each gets its part', () =>
  unlessStill(async () => {
    Worker.most = 0;
    const server = randomUUID();
    const workers = Array.from({ length: 4 }, () => new Worker(server, 6));
    for (const worker of workers) worker.call(100);
    await until('every worker has had some calls', () => workers.every(({ done }) => done > 20), 60_000);
    await until('all are done', () => workers.every(({ idle }) => idle) && Worker.inFlight === 0, 60_000);
    expect(Worker.most).toBeLessThanOrEqual(6);
    expect(Worker.most).toBeGreaterThan(3);
    for (const { slots } of workers) slots.close();
  }));

it('more workers than slots: none is left out', () =>
  unlessStill(async () => {
    Worker.most = 0;
    const server = randomUUID();
    const workers = Array.from({ length: 5 }, () => new Worker(server, 2));
    for (const worker of workers) worker.call(20);
    await until('all are done', () => workers.every(({ done }) => done === 20), 90_000);
    expect(Worker.most).toBeLessThanOrEqual(2);
    for (const { slots } of workers) slots.close();
  }));

it('the slots of a worker that is gone are free after some seconds', () =>
  unlessStill(async () => {
    const server = randomUUID();
    const store = open(address('REDIS_URL'));
    expect(await connected(store, 30_000)).toBe(true);
    const gone = new Worker(server, 3, store);
    gone.call(3);
    await until('it has called', () => gone.done === 3);
    gone.hold();
    expect(gone.held).toBe(3);
    const other = new Worker(server, 3);
    other.call(10);
    await sleep(500);
    expect(other.done).toBe(0);
    // It renews nothing any more, as a process that was killed.
    store.disconnect();
    await until('the other has its slots', () => other.done === 10, 30_000);
    other.slots.close();
    gone.slots.close();
  }));

it('a server that had no calls for a while gets its part again, although another has room for all of them', () =>
  unlessStill(async () => {
    const closing = new AbortController();
    const slots: SharedSlots[] = [];
    const endpoints = ['http://one.test', 'http://two.test'].map((url, i) => {
      const server = new ServerLoad(closing.signal);
      server.join({}, 8, () => queue.next());
      const parts = {
        redis,
        server: randomUUID(),
        worker: randomUUID(),
        limit: () => 8,
        changed: () => server.changed(),
      };
      server.slots = new SharedSlots(parts);
      slots.push(server.slots);
      return new Endpoint({ url, device: `cpu${i}`, concurrency: 8 } as never, { close() {} } as never, server);
    });
    const queue = new CallQueue(endpoints, (away) => away);
    const calls = async (count: number, avoid?: string) => {
      const urls: string[] = [];
      for (let i = 0; i < count; i++) {
        const slot = await queue.acquire({ signal: closing.signal, avoid });
        urls.push(slot.endpoint.url);
        await sleep(50);
        queue.release(slot);
      }
      return urls;
    };
    try {
      const called = new Set<string>();
      await until('both are called', async () => {
        for (const url of await calls(10)) called.add(url);
        return called.size === 2;
      });
      const [away] = endpoints as [Endpoint, Endpoint];
      // Longer than a worker keeps slots that it does not use.
      expect(await calls(60, away.url)).not.toContain(away.url);
      // The first slot is granted on request, which takes longer where the store stands still.
      await until('it is called again', async () => (await calls(5)).includes(away.url), 10_000);
      expect((await calls(40)).filter((url) => url === away.url).length).toBeGreaterThan(10);
    } finally {
      closing.abort();
      for (const each of slots) each.close();
    }
  }));

it('without the store each worker applies the limit to its own calls', async () => {
  const nowhere = open(`redis://127.0.0.1:${await freePort()}`);
  const worker = new Worker(randomUUID(), 3, nowhere);
  Worker.most = 0;
  worker.call(30);
  await until('all are done', () => worker.done === 30, 30_000);
  expect(Worker.most).toBe(3);
  worker.slots.close();
  nowhere.disconnect();
});
