import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentMessage } from '../../pipelines/plan/index.js';
import { connected } from '../../stores/redis/index.js';
import { SessionStore } from '../../stores/sessions/index.js';
import { monitoring } from '../support/monitoring.js';
import { testRedis } from '../support/test-worker.js';

const DAY_MS = 86_400_000;
const tenant = `sessions-${randomUUID()}`;
let redis: Redis;
let store: SessionStore;

beforeAll(async () => {
  redis = testRedis();
  await connected(redis, 30_000);
  store = new SessionStore(redis);
});
afterAll(async () => {
  const keys = await redis.keys(`millrace:session:*${tenant}*`);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
});

const name = (of = 'talk') => ({ tenant, of, session: randomUUID() });
const said = (content: string): AgentMessage => ({ role: 'user', content });
const part = (key: string) => ({ key, messages: [said(key)], ttlMs: DAY_MS });
const textsOf = ({ messages }: { messages: readonly AgentMessage[] }) => messages.map(({ content }) => content);

describe('what a tenant keeps in sessions', () => {
  const limited = (quota: { sessions: number; bytes: number }) => new SessionStore(redis, quota);
  const own = () => {
    const of = `${tenant}-${randomUUID().slice(0, 8)}`;
    return (session: string) => ({ tenant: of, of: 'talk', session });
  };

  it('has a limit of conversations; one that has expired makes room', async () => {
    const [few, of] = [limited({ sessions: 2, bytes: 0 }), own()];
    await few.add(of('a'), part('1'));
    await few.add(of('b'), part('1'));
    await expect(few.load(of('c'))).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    await expect(few.add(of('c'), part('1'))).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      details: { fields: [{ field: 'session' }] },
    });
    // One that it has goes on, and another tenant's begins.
    await few.add(of('a'), part('2'));
    await few.add(own()('c'), part('1'));
    // Each run begins the time of its conversation anew: that of this one is short from here on.
    await few.add(of('b'), { ...part('2'), ttlMs: 300 });
    await expect.poll(() => few.load(of('c')), { timeout: 30_000 }).toEqual({ messages: [], parts: 0 });
    await few.add(of('c'), part('1'));
    expect(textsOf(await few.load(of('a')))).toEqual(['1', '2']);
  });

  it('has a limit of bytes over all of them; a summary gives room back', async () => {
    const [few, of] = [limited({ sessions: 0, bytes: 3_000 }), own()];
    const long = (key: string) => ({ ...part(key), messages: [said('x'.repeat(800))] });
    for (const [session, key] of ['a1', 'a2', 'b1'].map((text) => [...text] as [string, string]))
      await few.add(of(session), long(key));
    await expect(few.add(of('b'), long('2'))).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
    // An attempt that was made before is no new part.
    await few.add(of('b'), long('1'));
    await few.add(of('a'), { ...part('3'), summary: { text: 'short', upTo: 2 } });
    await few.add(of('b'), long('2'));
    expect((await few.load(of('b'))).parts).toBe(2);
  });

  it('does not keep who adds nothing from reading; what is there may have a size of its own', async () => {
    const of = own();
    await store.add(of('a'), part('1'));
    const [one, small] = [limited({ sessions: 1, bytes: 0 }), limited({ sessions: 0, bytes: 10 })];
    const full = { code: 'QUOTA_EXCEEDED' };
    await expect(small.load(of('a'))).rejects.toMatchObject(full);
    await expect(one.load(of('b'))).rejects.toMatchObject(full);
    await expect(store.load(of('a'), { most: 10 })).rejects.toMatchObject(full);
    for (const read of [
      small.load(of('a'), { adds: false, most: 10 }),
      one.load(of('a')),
      store.load(of('a'), { most: 1_000 }),
    ])
      expect(textsOf(await read)).toEqual(['1']);
    for (const reading of [{ adds: false }, { begins: false }])
      expect(await one.load(of('b'), reading)).toEqual({ messages: [], parts: 0 });
  });
});

describe('a session in Redis', () => {
  it('is empty at first, then has its parts in order, each once', async () => {
    const of = name();
    expect(await store.load(of)).toEqual({ messages: [], parts: 0 });
    for (const key of ['a', 'b', 'b', 'a']) await store.add(of, part(key));
    expect(await store.load(of)).toEqual({ messages: [said('a'), said('b')], parts: 2, begun: 'a' });
  });

  it('keeps the newest parts only where it is told how many, and counts no others', async () => {
    const of = name();
    for (const key of ['a', 'b', 'c', 'd']) await store.add(of, { ...part(key), keeps: 2 });
    // One that is kept is no new part.
    await store.add(of, { ...part('c'), keeps: 2 });
    expect(await store.load(of)).toEqual({ messages: [said('c'), said('d')], parts: 4, begun: 'a' });
    const bytes = ['c', 'd'].map((key) => JSON.stringify({ key, messages: [said(key)] }).length);
    expect(await store.bytesOf(of)).toBe((bytes[0] ?? 0) + (bytes[1] ?? 0));
    await store.add(of, { ...part('e'), summary: { text: 'all', upTo: 4 } });
    expect(await store.load(of)).toEqual({ summary: 'all', messages: [said('e')], parts: 5, begun: 'a' });
    expect(await store.bytesOf(of)).toBe((bytes[0] ?? 0) + 'all'.length);
    // The keys of what is dropped are dropped too.
    const [about = ''] = await redis.keys(`millrace:session:*${of.session}*:about`);
    expect(Object.keys(await redis.hgetall(about)).filter((field) => field.startsWith('part:'))).toEqual(['part:e']);
    await store.erase(of);
    expect(await store.bytesOf(of)).toBe(0);
  });

  it('reads no parts when one is added: a long one holds up nothing else in the store', async () => {
    const of = name();
    await store.add(of, part('a'));
    const sent: string[] = [];
    const watching = await monitoring(redis);
    watching.on('monitor', (_, [command = '', ...args]: string[], source: string) => {
      if (source === 'lua' && args[0]?.includes(of.session)) sent.push(command.toLowerCase());
    });
    await store.add(of, part('b'));
    await expect.poll(() => sent.filter((command) => command === 'zadd').length + sent.length).toBeGreaterThan(5);
    watching.disconnect();
    expect(sent).not.toContain('lrange');
    expect(sent).toContain('rpush');
  });

  it('tells parts by their whole keys', async () => {
    const of = name();
    const keys = ['k', 'kk', 'k"', 'k\\', 'k"}'];
    for (const key of [...keys, ...keys]) await store.add(of, part(key));
    expect(textsOf(await store.load(of))).toEqual(keys);
  });

  it('loses nothing of runs that write at once, and a summary drops only what its writer has read', async () => {
    const of = name();
    await store.add(of, part('a'));
    await store.add(of, part('b'));
    const { parts } = await store.load(of);
    await Promise.all(['c', 'd', 'e'].map((key) => store.add(of, part(key))));
    await store.add(of, { ...part('f'), summary: { text: 'a and b', upTo: parts } });
    const read = await store.load(of);
    expect({ ...read, messages: textsOf(read).sort() }).toEqual({
      summary: 'a and b',
      messages: ['c', 'd', 'e', 'f'],
      parts: 6,
      begun: 'a',
    });
    // The summary of one who had read less comes late.
    await store.add(of, { ...part('g'), summary: { text: 'a', upTo: 1 } });
    expect((await store.load(of)).summary).toBe('a and b');
  });

  it('keeps what a run has summed up of itself: of the first one, and of one whose summary comes late', async () => {
    const of = name();
    const summary = (text: string, upTo: number, begun?: string) => ({
      summary: { text, upTo, ofRun: true as const, ...(begun !== undefined && { begun }) },
    });
    await store.add(of, { ...part('a'), ...summary('paid 1', 0) });
    expect(await store.load(of)).toEqual({ summary: 'paid 1', messages: [said('a')], parts: 1, begun: 'a' });
    // It had begun when the session had nothing yet.
    await store.add(of, { ...part('b'), ...summary('paid 2', 0) });
    expect(await store.load(of)).toMatchObject({ summary: 'paid 1\npaid 2', parts: 2 });
    for (const [key, more] of [
      ['c', 'paid 3'],
      ['d', 'paid 4'],
    ] as const)
      await store.add(of, { ...part(key), ...summary(`all\npaid 1\npaid 2\n${more}`, 2, 'a') });
    const read = { summary: 'all\npaid 1\npaid 2\npaid 3\npaid 4', messages: [said('c'), said('d')], parts: 4 };
    expect(await store.load(of)).toEqual({ ...read, begun: 'a' });
    const bytes = ['c', 'd'].map((key) => JSON.stringify({ key, messages: [said(key)] }).length);
    const late = 'all\npaid 1\npaid 2\npaid 3';
    const stays = `,"summary":${JSON.stringify(late.replace('3', '4'))}`;
    expect(await store.bytesOf(of)).toBe((bytes[0] ?? 0) + (bytes[1] ?? 0) + late.length + stays.length);
    await store.add(of, { ...part('e'), ...summary('all of it', 4, 'a') });
    expect(await store.load(of)).toEqual({ summary: 'all of it', messages: [said('e')], parts: 5, begun: 'a' });
    // Whoever has read what was erased has its words.
    await store.erase(of);
    await store.add(of, { ...part('f'), ...summary('all of it and paid 5', 5, 'a') });
    expect(await store.load(of)).toEqual({ messages: [said('f')], parts: 1, begun: 'f' });
  });

  it('has the long results that its messages name, and none of what a summary has replaced', async () => {
    const of = name();
    const whole = (letter: string) => {
      const sha256 = letter.repeat(64);
      return { uri: `artifact://${tenant}/${sha256}`, sha256, mime: 'text/plain', bytes: 1 };
    };
    await store.add(of, { ...part('a'), wholes: { ra: whole('a') } });
    await store.add(of, { ...part('b'), wholes: { rb: whole('b') } });
    expect((await store.load(of)).wholes).toEqual({ ra: whole('a'), rb: whole('b') });
    await store.add(of, { ...part('c'), summary: { text: 'a', upTo: 1 } });
    expect((await store.load(of)).wholes).toEqual({ rb: whole('b') });
  });

  it('that was erased while a run went on does not come back in the summary of that run', async () => {
    const of = name();
    for (const key of ['a', 'b']) await store.add(of, part(key));
    const { parts } = await store.load(of);
    await store.erase(of);
    await store.add(of, { ...part('c'), summary: { text: 'a and b', upTo: parts } });
    expect(await store.load(of)).toEqual({ messages: [said('c')], parts: 1, begun: 'c' });
  });

  it('that was begun anew while a run of the erased one went on keeps what is new', async () => {
    const of = name();
    for (const key of ['a', 'b']) await store.add(of, part(key));
    const { parts } = await store.load(of);
    await store.erase(of);
    await store.add(of, part('new'));
    await store.add(of, { ...part('c'), summary: { text: 'a and b', upTo: parts } });
    expect(await store.load(of)).toEqual({ messages: [said('new'), said('c')], parts: 2, begun: 'new' });
  });

  it('that was begun anew has nothing of the erased one, though it has as many parts by then', async () => {
    const of = name();
    for (const key of ['a', 'b']) await store.add(of, part(key));
    const { parts: upTo, begun } = await store.load(of);
    if (begun === undefined) throw new Error('it has begun');
    await store.erase(of);
    for (const key of ['new', 'more']) await store.add(of, part(key));
    await store.add(of, { ...part('c'), summary: { text: 'a and b', upTo, begun } });
    const messages = ['new', 'more', 'c'].map(said);
    expect(await store.load(of)).toEqual({ messages, parts: 3, begun: 'new' });
    await store.add(of, { ...part('d'), summary: { text: 'new and more', upTo, begun: 'new' } });
    expect(await store.load(of)).toMatchObject({ summary: 'new and more', messages: ['c', 'd'].map(said) });
  });

  it('that a worker of an earlier release has begun anew has nothing of the erased one', async () => {
    const of = name();
    for (const key of ['a', 'b']) await store.add(of, part(key));
    const { parts: upTo, begun = '' } = await store.load(of);
    await store.erase(of);
    for (const key of ['new', 'more']) await store.add(of, part(key));
    const [about = ''] = await redis.keys(`millrace:session:*${of.session}*:about`);
    expect(await redis.hdel(about, 'begun')).toBe(1);
    await store.add(of, { ...part('c'), summary: { text: 'a and b', upTo, begun } });
    expect(await store.load(of)).toEqual({ messages: ['new', 'more', 'c'].map(said), parts: 3 });
  });

  it('is forgotten after its time, which each run begins anew', async () => {
    const of = name();
    await store.add(of, { ...part('a'), ttlMs: 60_000 });
    const [key = ''] = await redis.keys(`millrace:session:*${of.session}*:parts`);
    expect(await redis.pttl(key)).toBeGreaterThan(0);
    await store.add(of, part('b'));
    expect(await redis.pttl(key)).toBeGreaterThan(DAY_MS - 60_000);
    const gone = name();
    await store.add(gone, { ...part('a'), ttlMs: 50 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await store.load(gone)).toEqual({ messages: [], parts: 0 });
  });

  it('belongs to its tenant, and there to a pipeline and an owner', async () => {
    const of = name('talk/key:a1');
    await store.add(of, part('a'));
    for (const other of [{ tenant: 'another' }, { of: 'talk/key:b2' }, { of: 'other/key:a1' }, { of: 'talk' }])
      expect(await store.load({ ...of, ...other })).toEqual({ messages: [], parts: 0 });
    expect(textsOf(await store.load(of))).toEqual(['a']);
  });

  it('keeps approvals by tool as long as itself, and is erased with them', async () => {
    const of = name();
    const given = { by: 'ada', actor: 'key:k1', at: '2026-11-27T00:00:00.000Z' };
    await store.grant(of, 'talk/answer/pay', given, DAY_MS);
    expect(await store.granted(of, 'talk/answer/pay')).toEqual(given);
    expect(await store.granted(of, 'talk/answer/ship')).toBeUndefined();
    expect(await store.granted({ ...of, of: 'talk/key:b2' }, 'talk/answer/pay')).toBeUndefined();
    // The conversation has nothing of them, and each of its runs begins their time anew.
    await store.add(of, { ...part('a'), ttlMs: 60_000, summary: { text: 'none', upTo: 0 } });
    expect(await store.load(of)).toEqual({ messages: [said('a')], parts: 1, begun: 'a' });
    await store.grant(of, 'talk/answer/ship', given, DAY_MS);
    for (const key of await redis.keys(`millrace:session:*${of.session}:*`))
      expect(await redis.pttl(key)).toBeGreaterThan(DAY_MS - 60_000);
    expect(await store.erase(of)).toBe(true);
    expect(await store.granted(of, 'talk/answer/pay')).toBeUndefined();
    await store.grant(of, 'talk/answer/pay', given, 50);
    await expect.poll(() => store.granted(of, 'talk/answer/pay'), { timeout: 30_000 }).toBeUndefined();
  });

  it('counts as a conversation of its tenant with its first approval', async () => {
    const [one, its] = [new SessionStore(redis, { sessions: 1, bytes: 0 }), `${tenant}-${randomUUID().slice(0, 8)}`];
    const of = (session: string) => ({ tenant: its, of: 'talk', session });
    const given = { by: 'ada', at: '2026-11-27T00:00:00.000Z' };
    await one.grant(of('a'), 'talk/answer/pay', given, DAY_MS);
    await expect(one.grant(of('b'), 'talk/answer/pay', given, DAY_MS)).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
    });
    await one.erase(of('a'));
    await one.grant(of('b'), 'talk/answer/pay', given, DAY_MS);
  });

  it('cannot be had without Redis', async () => {
    const lost = testRedis('redis://127.0.0.1:1', 500);
    await expect(new SessionStore(lost).load(name())).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      details: { unreached: true },
    });
    lost.disconnect();
  });
});
