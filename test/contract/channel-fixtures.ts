import { randomUUID } from 'node:crypto';
import { afterEach, expect, vi } from 'vitest';
import type { Json } from '../../pipelines/json.js';
import {
  type ChannelEnd,
  type ChannelLog,
  type ChannelName,
  ChannelWriter,
  readChannel,
} from '../../stores/channels/index.js';

export const TTL_MS = 60_000;

export const until = (holds: () => boolean, timeout = 30_000) =>
  vi.waitFor(() => expect(holds()).toBe(true), { timeout, interval: 10 });

/** What a test of a log needs of its store. */
export interface ChannelStore {
  /** @param mostBytes bound of a channel; default: that of a process */
  log(mostBytes?: number): ChannelLog;
  /** Loses the channel, or all but its first `kept` entries, as a failover does. */
  lose(name: ChannelName, kept: number): Promise<void>;
}

type ReadOptions = Partial<Parameters<typeof readChannel>[2]>;

/** A log whose next append that adds something reaches the store, and its reply is lost. */
export function losingReply(log: ChannelLog): ChannelLog {
  let lost = false;
  return new Proxy(log, {
    get(target, key) {
      const value = Reflect.get(target, key) as unknown;
      if (typeof value !== 'function') return value;
      if (key !== 'append') return value.bind(target) as unknown;
      return async (...given: Parameters<ChannelLog['append']>) => {
        const standing = await target.append(...given);
        if (lost || given[1].entries.length === 0) return standing;
        lost = true;
        throw new Error('no reply');
      };
    },
  });
}

export interface ChannelFixtures {
  signal(): AbortSignal;
  named(): ChannelName;
  open(log: ChannelLog, name: ChannelName): Promise<ChannelWriter>;
  /** Reads in the background. */
  reading(
    log: ChannelLog,
    name: ChannelName,
    options?: ReadOptions,
  ): {
    readonly values: readonly Json[];
    readonly entries: readonly { readonly number: number; readonly hash: string }[];
    readonly end: Promise<ChannelEnd>;
  };
}

/** Channels, writers and readers, which end with the test. Call it within a `describe`. */
export function channelFixtures(): ChannelFixtures {
  const ending: AbortController[] = [];
  afterEach(() => {
    for (const each of ending.splice(0)) each.abort(new Error('the test is over'));
  });
  const signal = () => {
    const own = new AbortController();
    ending.push(own);
    return own.signal;
  };
  const named = (): ChannelName => ({ run: `run-${randomUUID()}`, path: 'each[0]/answer', of: 'sentences' });
  const open = (log: ChannelLog, name: ChannelName) =>
    ChannelWriter.open(log, name, { signal: signal(), ttlMs: TTL_MS });

  const reading = (log: ChannelLog, name: ChannelName, options: ReadOptions = {}) => {
    const values: Json[] = [];
    const entries: { number: number; hash: string }[] = [];
    const run = async (): Promise<ChannelEnd> => {
      const reader = readChannel(log, name, { signal: signal(), ...options });
      for (;;) {
        const next = await reader.next();
        if (next.done) return next.value;
        const { value, ...position } = next.value;
        values.push(value);
        entries.push(position);
      }
    };
    const end = run();
    end.catch(() => undefined);
    return { values, entries, end };
  };
  return { signal, named, open, reading };
}
