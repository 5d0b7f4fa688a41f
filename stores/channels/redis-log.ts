import type { Redis } from 'ioredis';
import {
  type ChannelLog,
  type ChannelName,
  type Entry,
  type Held,
  MOST_BYTES,
  type Restoration,
  type Standing,
  startHash,
  type Write,
} from './channel.js';
import { append, type HeldReply, open, passed, read, restore } from './scripts.js';
import { Wakeups } from './wakeups.js';

/** Channels in the state store: a hash and a list of entries for each, in the slot of their run. */
export class RedisChannelLog implements ChannelLog {
  readonly #redis: Redis;
  readonly #wakeups: Wakeups;
  readonly #mostBytes: number;

  /** @param subscriber a connection of its own, for notifications */
  constructor(redis: Redis, subscriber: Redis, { mostBytes = MOST_BYTES }: { readonly mostBytes?: number } = {}) {
    this.#redis = redis;
    this.#wakeups = new Wakeups(subscriber);
    this.#mostBytes = mostBytes;
  }

  async open(name: ChannelName, owner: string, ttlMs: number): Promise<Held> {
    return heldOf(await open(this.#redis, keysOf(name), owner, ttlMs, startHash(name)));
  }

  async append(name: ChannelName, write: Write): Promise<Standing> {
    const { owner, count, hash, entries, after, end = '', ttlMs } = write;
    const total = count + entries.length;
    const keys = keysOf(name);
    const stored = entries.map(storedOf);
    const numbers = [count, hash, total, after, ttlMs, this.#mostBytes] as const;
    const standing = await append(this.#redis, keys, owner, ...numbers, end, keys[0], ...stored);
    if (standing === 'held' && (entries.length > 0 || end !== '')) this.#wakeups.wake(keys[0]);
    return standing;
  }

  async restore(name: ChannelName, write: Restoration): Promise<'held' | 'taken'> {
    const { owner, from, entries, after, end = '', ttlMs } = write;
    const keys = keysOf(name);
    const total = from + entries.length;
    const done = await restore(
      this.#redis,
      keys,
      owner,
      from,
      total,
      after,
      ttlMs,
      end,
      keys[0],
      ...entries.map(storedOf),
    );
    this.#wakeups.wake(keys[0]);
    return done;
  }

  async read(name: ChannelName, from: number, most: number): Promise<Held | undefined> {
    const reply = await read(this.#redis, keysOf(name), from, most);
    return reply === null ? undefined : heldOf(reply);
  }

  passed(name: ChannelName, reader: string, number: number): Promise<void> {
    return passed(this.#redis, keysOf(name), reader, number);
  }

  listen(name: ChannelName, wake: () => void): () => void {
    return this.#wakeups.listen(keysOf(name)[0], wake);
  }
}

/** The state's key is also the name under which changes are published. */
function keysOf({ run, path, of }: ChannelName): readonly [state: string, entries: string] {
  const state = `millrace:channel:{${run}}:${path}:${of}`;
  return [state, `${state}:entries`];
}

/** A hash has 32 characters. */
const storedOf = ({ before, text }: Entry): string => before + text;
const entryOf = (stored: string): Entry => ({ before: stored.slice(0, 32), text: stored.slice(32) });

const heldOf = ([count, hash, from, end, entries]: HeldReply): Held => ({
  count: Number(count),
  hash,
  from: Number(from),
  entries: entries.map(entryOf),
  ...(end !== '' && { end }),
});
