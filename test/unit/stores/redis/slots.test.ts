import { readdirSync, readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { RedisSentResults } from '../../../../stores/answers/index.js';
import { RedisChannelLog } from '../../../../stores/channels/index.js';
import { RunErasure } from '../../../../stores/erasure/index.js';
import { RunEventLog, RunEventReader } from '../../../../stores/events/index.js';
import { guardedKey, releaseRecord, SegmentJournal, segmentKey } from '../../../../stores/journal/index.js';
import { RedisRecords, recordKey } from '../../../../stores/records/index.js';
import { RedisLatestRuns } from '../../../../stores/retries/index.js';
import { RedisSubscriptions, type Subscription } from '../../../../stores/subscriptions/index.js';

/** Keys and scripts are such that the stores could be on a Redis Cluster: what belongs to a run is in one slot, and a script has keys of one slot. */

const SLOTS = 16_384;

/** CRC-16/XMODEM of the content of a key's first braces, or of the whole key (Redis cluster specification, "Hash tags"). */
function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = open < 0 ? -1 : key.indexOf('}', open + 1);
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (const byte of Buffer.from(hashed)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc % SLOTS;
}

/** A Redis that answers every command and script with null and notes their keys. */
function noting(): { readonly redis: Redis; readonly keys: string[] } {
  const keys: string[] = [];
  const command = async (...args: readonly unknown[]): Promise<null> => {
    const [first] = args;
    if (typeof first === 'number') keys.push(...(args.slice(1, 1 + first) as string[]));
    else if (typeof first === 'string') keys.push(first);
    return null;
  };
  const commands = new Map<string | symbol, unknown>([['on', () => undefined]]);
  return { redis: new Proxy({}, { get: (_, name) => commands.get(name) ?? command }) as Redis, keys };
}

const RUN = 'story-0198c1d2';
const TENANT = 'acme';
const KEPT_MS = 60_000;
const channel = { run: RUN, path: 'chunks[3]/answer', of: 'sentences' };
const subscription: Subscription = { id: 'a', request: 'r', url: 'https://a.test/', waits: true, about: {} };

/** What each store that keeps something of a run does with it. */
const OF_A_RUN: Readonly<Record<string, (redis: Redis) => readonly Promise<unknown>[]>> = {
  sent: (redis) => {
    const sent = new RedisSentResults(redis);
    return [sent.add(RUN, KEPT_MS), sent.has(RUN), sent.erase(RUN)];
  },
  latest: (redis) => {
    const latest = new RedisLatestRuns(redis);
    return [latest.claim(RUN, RUN, KEPT_MS), latest.replace(RUN, 'another', KEPT_MS), latest.latest(RUN)];
  },
  channel: (redis) => {
    const log = new RedisChannelLog(redis, redis);
    const write = { owner: 'o', entries: [], after: 'h', ttlMs: KEPT_MS };
    return [
      log.open(channel, 'o', KEPT_MS),
      log.append(channel, { ...write, count: 0, hash: 'h' }),
      log.restore({ ...channel, generation: 1 }, { ...write, from: 0 }),
      log.startOver([{ name: channel, owner: 'o' }], KEPT_MS),
      log.keep(channel),
      log.read(channel, 0, 1),
      log.passed(channel, 'reader', 1),
    ];
  },
  events: (redis) => [
    new RunEventReader(redis, redis).erase(RUN),
    new RunEventLog(redis).publish(RUN, { type: 'events.lost' }),
  ],
  records: (redis) => [new RedisRecords({ redis, keptMs: KEPT_MS }).erase(RUN)],
  journal: (redis) => {
    const key = segmentKey(RUN, 'execution', 'answer');
    const journal = SegmentJournal.begin(redis, key, { ttlMs: KEPT_MS, leaseMs: KEPT_MS });
    return [SegmentJournal.open(redis, key, { ttlMs: KEPT_MS }), journal.keepFor(KEPT_MS), releaseRecord(redis, key)];
  },
  erasure: (redis) => [new RunErasure(redis).erase(RUN)],
};

describe('what belongs to a run is in the slot of its id:', () => {
  it.each(Object.entries(OF_A_RUN))('%s', async (_, use) => {
    const { redis, keys } = noting();
    await Promise.allSettled(use(redis));
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.filter((key) => slotOf(key) !== slotOf(RUN))).toEqual([]);
  });

  it('but for subscriptions, which are counted with those of their tenant and are in its slot', async () => {
    const { redis, keys } = noting();
    const all = new RedisSubscriptions(redis);
    const of = { tenant: TENANT, run: RUN };
    await Promise.allSettled([
      all.put(of, subscription, KEPT_MS),
      all.list(of),
      all.remove(of, subscription),
      all.takeBack(of, subscription),
      all.erase(of),
    ]);
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.filter((key) => slotOf(key) !== slotOf(TENANT))).toEqual([]);
  });

  it('journals and records', () => {
    const keys = [segmentKey(RUN, 'execution', 'answer'), guardedKey(RUN, 'guard'), recordKey(RUN)];
    expect(keys.map(slotOf)).toEqual(keys.map(() => slotOf(RUN)));
  });

  it('by the hash that Redis specifies', () => {
    // The specification's own example of the CRC: 0x31C3 for "123456789".
    expect(slotOf('123456789')).toBe(0x31c3 % SLOTS);
    expect(slotOf('a{run}b{other}')).toBe(slotOf('run'));
    expect(slotOf('a{}{run}')).not.toBe(slotOf('run'));
  });
});

const FOLDERS = ['activities', 'cli', 'gateway', 'runs', 'stores', 'workers'];
const sources = FOLDERS.flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => ({ file: `${folder}/${file}`, text: readFileSync(`${folder}/${file}`, 'utf8') })),
);

/**
 * Keys without a tag belong to no run and to no tenant, and no script has two of them. A new key of a run or a tenant carries a tag instead of
 * being added here.
 */
const WITHOUT_TAG = [
  'millrace:cache-tenants', // tenants by the size of their caches
  'millrace:callback:', // of a token of a server's job
  'millrace:client-secret', // a secret that processes share
  'millrace:code:missing:', // of a task queue: versions of functions
  'millrace:cursors', // likewise
  'millrace:doctor:', // written to see what a server allows
  'millrace:heal:', // of a model at a server: whose turn the repair is
  'millrace:probe',
  'millrace:rate:', // of a model
  'millrace:requests', // of a key or a tenant, by the library that counts
  'millrace:watch:', // of a process: a counter that shows what the store has lost
  'millrace:watch:found', // for a while: a process has found such a loss
];
/** What else is written like a key: names of channels, permissions in tokens, types of errors. */
const NO_KEYS = [
  ...['millrace:', 'millrace:run', 'millrace:read', 'millrace:approve', 'millrace:metrics'],
  ...['millrace:answers:', 'millrace:doctor'],
];

it('every other key has a tag', () => {
  const written = sources.flatMap(({ text }) => [...text.matchAll(/[`'](millrace:(?! )[^`'\n]*)[`']/g)]);
  const untagged = written.map(([, key = '']) => key).filter((key) => !/^[^{]*\{\$\{/.test(key));
  const names = untagged.map((key) => key.replace(/\$\{.*$/, ''));
  expect([...new Set(names)].sort()).toEqual([...WITHOUT_TAG, ...NO_KEYS].sort());
});

describe('a script', () => {
  const scripts = sources.flatMap(({ file, text }) =>
    [...text.matchAll(/(?<!#|await |=> )redis\.call\('(\w+)'(?:, ([\w[]+))?/g)].map(([call, command = '', first]) => ({
      ...{ file, call, first, command: command.toUpperCase() },
      text,
    })),
  );

  it('touches only the keys that it is given: those it would make itself may be on another node', () => {
    const elsewhere = scripts.filter(({ command, first = '', text }) => {
      if (command === 'TIME' || command === 'PUBLISH') return false; // no keys
      if (first.startsWith('KEYS[')) return false;
      // A local name of some of the keys.
      const named = new RegExp(`local [\\w, ]*\\b${first}\\b[\\w, ]* = KEYS\\[`);
      return first === '' || !named.test(text);
    });
    expect(scripts.length).toBeGreaterThan(100);
    expect(elsewhere.map(({ file, call }) => `${file}: ${call}`)).toEqual([]);
  });

  it('is sent by `script`, which refuses keys of several slots, or has one key', () => {
    const others = sources.flatMap(({ file, text }) =>
      [...text.matchAll(/\.(?:eval|evalsha)\(\w+, (\d+)/g)].map(([, keys]) => `${file}: ${keys}`),
    );
    expect(others.filter((each) => !each.endsWith(': 1'))).toEqual([]);
  });
});
