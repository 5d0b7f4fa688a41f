import { EventEmitter, once } from 'node:events';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LossWatch } from '../../../../stores/redis/index.js';

/** A store that keeps values, and may answer no writes, no questions, or none at all. */
class Store extends EventEmitter {
  values = new Map<string, string>();
  refuses = false;
  silent = false;
  away = false;
  readonly #expiries = new Map<string, number>();
  /** Called when a question has been answered. */
  answered: () => void = () => undefined;

  get status(): string {
    return this.away ? 'reconnecting' : 'ready';
  }

  async get(key: string): Promise<string | null> {
    if (this.away) throw new Error('Connection is closed.');
    if (this.silent) return await new Promise(() => undefined);
    if ((this.#expiries.get(key) ?? Number.POSITIVE_INFINITY) <= performance.now()) this.values.delete(key);
    const value = this.values.get(key) ?? null;
    this.answered();
    return value;
  }

  async set(key: string, value: string, _: 'PX', ms: number): Promise<void> {
    this.values.set(key, value);
    this.#expiries.set(key, performance.now() + ms);
  }

  /** The only script sets a value, and returns what it was. */
  defineCommand(name: string): void {
    Object.assign(this, { [name]: (_keys: number, key: string, value: string) => this.#set(key, value) });
  }

  async #set(key: string, value: string): Promise<string | null> {
    if (this.away) throw new Error('Connection is closed.');
    if (this.refuses) throw new Error('OOM command not allowed when used memory > maxmemory');
    const before = this.values.get(key) ?? null;
    this.values.set(key, value);
    this.emit('set');
    return before;
  }
}

let store: Store;
let watch: LossWatch;
let losses: number;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  store = new Store();
  losses = 0;
  watch = new LossWatch(store as unknown as Redis).start();
  watch.onLoss(() => {
    losses += 1;
  });
  await once(store, 'set');
});
afterEach(() => {
  store.emit('end');
  vi.useRealTimers();
});

/** The next check, to its end. */
async function beat(): Promise<void> {
  const written = store.away || store.refuses ? undefined : once(store, 'set');
  await vi.advanceTimersByTimeAsync(250);
  await written;
}

describe('a store is watched', () => {
  it('that keeps what it has: nothing may be lacking', async () => {
    for (let i = 0; i < 5; i++) await beat();
    expect(await watch.mayLack()).toBe(false);
    expect(losses).toBe(0);
  });

  it('and its loss of everything is told at once, and not again', async () => {
    await beat();
    store.values.clear();
    expect(await watch.mayLack()).toBe(true);
    expect(losses).toBe(1);
    for (let i = 0; i < 5; i++) await beat();
    expect(losses).toBe(1);
  });

  it('and the loss of the latest writes is told by the next check', async () => {
    const before = new Map(store.values);
    await beat();
    await beat();
    store.values = before;
    await beat();
    expect(losses).toBe(1);
    expect(await watch.mayLack()).toBe(true);
  });

  it('and a new connection counts as a loss: a replica may have taken over', async () => {
    store.emit('ready');
    expect(losses).toBe(1);
    expect(await watch.mayLack()).toBe(true);
  });

  it('for ten seconds after a loss something may be lacking', async () => {
    store.values.clear();
    await beat();
    await vi.advanceTimersByTimeAsync(9_000);
    expect(await watch.mayLack()).toBe(true);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await watch.mayLack()).toBe(false);
  });

  it('and its loss is told to one that begins to watch it only then', async () => {
    await beat();
    store.values.clear();
    // As a store that is restarted does.
    store.emit('ready');
    await beat();
    const late = new LossWatch(store as unknown as Redis);
    expect(await late.mayLack()).toBe(true);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await late.mayLack()).toBe(false);
  });

  it('and a new connection alone is told to nobody else', async () => {
    await beat();
    store.emit('ready');
    await beat();
    expect(losses).toBe(1);
    expect(await new LossWatch(store as unknown as Redis).mayLack()).toBe(false);
  });

  it('and a loss between its question and its write is told by that write', async () => {
    await beat();
    store.answered = () => {
      store.answered = () => undefined;
      store.values.clear();
    };
    await beat();
    expect(await watch.mayLack()).toBe(true);
    expect(losses).toBe(1);
    for (let i = 0; i < 5; i++) await beat();
    expect(losses).toBe(1);
  });

  it('that is connected and does not answer in time may have lost something', async () => {
    store.silent = true;
    expect(await watch.mayLack()).toBe(true);
    store.silent = false;
    expect(await watch.mayLack()).toBe(false);
    expect(losses).toBe(0);
  });

  it('that is full, or away, has lost nothing by that', async () => {
    store.refuses = true;
    await beat();
    await beat();
    store.refuses = false;
    store.away = true;
    await beat();
    expect(await watch.mayLack()).toBe(false);
    store.away = false;
    await beat();
    await beat();
    expect(losses).toBe(0);
  });

  it('until a listener has gone, and its client is disconnected', async () => {
    const heard = vi.fn();
    watch.onLoss(heard)();
    store.emit('ready');
    expect(heard).not.toHaveBeenCalled();
    store.emit('end');
    store.emit('ready');
    expect(losses).toBe(1);
    store.values.clear();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(store.values.size).toBe(0);
  });
});
