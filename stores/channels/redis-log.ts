import type { Redis } from 'ioredis';
import { ERASED_MS, erasableKey, erasedKey } from '../redis/index.js';
import {
  type ChannelLog,
  type ChannelName,
  calledWithin,
  type Entry,
  generationsBefore,
  type Held,
  MOST_BYTES,
  nextGeneration,
  type Owned,
  type Restoration,
  type Standing,
  startHash,
  type Write,
} from './channel.js';
import { append, erase, type HeldReply, keep, needed, open, passed, read, restore, startOver } from './scripts.js';
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

  async open(name: ChannelName, owner: string, ttlMs: number, first = 0, ageMs = 0): Promise<Held | undefined> {
    const keys = [...keysOf(name), erasableKey(name.run), erasedKey(name.run)] as const;
    const reply = await open(this.#redis, keys, owner, ttlMs, startHash(name), first, ageMs);
    return reply === null ? undefined : heldOf(reply);
  }

  async append(name: ChannelName, write: Write): Promise<Standing> {
    const { owner, count, hash, entries, after, end = '', ttlMs } = write;
    const total = count + entries.length;
    const keys = [...keysOf(name), erasableKey(name.run)] as const;
    const stored = entries.map(storedOf);
    const numbers = [count, hash, total, after, ttlMs, this.#mostBytes] as const;
    const standing = await append(this.#redis, keys, owner, ...numbers, end, keys[0], ...stored);
    if (standing === 'held' && (entries.length > 0 || end !== '')) this.#wakeups.wake(keys[0]);
    return standing;
  }

  async restore(name: ChannelName, write: Restoration): Promise<'held' | 'taken' | 'kept'> {
    const { owner, from, entries, after, end = '', ttlMs, ageMs = 0 } = write;
    const keys = keysOf(name);
    const before = generationsBefore(name).map((each) => keysOf(each)[0]);
    const total = from + entries.length;
    const done = await restore(
      this.#redis,
      [...keys, erasableKey(name.run), erasedKey(name.run), ...before],
      owner,
      from,
      total,
      after,
      ttlMs,
      end,
      keys[0],
      ageMs,
      ...entries.map(storedOf),
    );
    for (const key of [keys[0], ...before]) this.#wakeups.wake(key);
    return done;
  }

  async startOver(channels: readonly Owned[], ttlMs: number): Promise<'void' | 'kept' | 'taken'> {
    const keys = channels.flatMap(({ name }) => [...keysOf(name), ...keysOf(nextGeneration(name))]);
    const [run = ''] = channels.map(({ name }) => erasableKey(name.run));
    const given = channels.flatMap(({ name, owner }) => [owner, startHash(nextGeneration(name))]);
    const done = await startOver(this.#redis, [...keys, run], ttlMs, ...given);
    for (const { name } of channels) this.#wakeups.wake(keysOf(name)[0]);
    return done;
  }

  keep(name: ChannelName): Promise<'kept' | 'void' | 'gone'> {
    return keep(this.#redis, keysOf(name));
  }

  async read(name: ChannelName, from: number, most: number): Promise<Held | undefined> {
    const reply = await read(this.#redis, keysOf(name), from, most);
    return reply === null ? undefined : heldOf(reply);
  }

  passed(name: ChannelName, reader: string, number: number): Promise<void> {
    return passed(this.#redis, keysOf(name), reader, number);
  }

  async needed(name: ChannelName, besides: string): Promise<number | undefined> {
    const number = await needed(this.#redis, keysOf(name), besides);
    return number === null ? undefined : Number(number);
  }

  listen(name: ChannelName, wake: () => void): () => void {
    return this.#wakeups.listen(keysOf(name)[0], wake);
  }
}

const prefixOf = (run: string): string => `millrace:channel:{${run}}:`;

/** The state's key is also the name under which changes are published. */
function keysOf(name: ChannelName): readonly [state: string, entries: string] {
  const state = `${prefixOf(name.run)}${name.path}:${calledWithin(name)}`;
  return [state, entriesOf(state)];
}

const entriesOf = (state: string): string => `${state}:entries`;

/**
 * Erases what a channel of a run that has ended holds, by the key of its state. Its writer can add nothing; one that opens it later finds it
 * empty. False if it is no channel of the run.
 */
export async function eraseChannel(redis: Redis, run: string, state: string): Promise<boolean> {
  const prefix = prefixOf(run);
  if (!state.startsWith(prefix)) return false;
  const at = state.lastIndexOf(':');
  const start = startHash({ run, path: state.slice(prefix.length, at), of: state.slice(at + 1) });
  await erase(redis, [state, entriesOf(state), erasableKey(run)], start, ERASED_MS);
  return true;
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
