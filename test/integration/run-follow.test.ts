import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Problem } from '../../pipelines/run/document.js';
import type { StageEvent } from '../../pipelines/run/index.js';
import type { RunDocument } from '../../runs/document.js';
import { caught } from '../support/caught.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address, CallLog, fixtures, until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { allEvents, type ReadEvent, readEvents, someEvents } from '../support/sse.js';
import { watchedLlm } from '../support/watched-servers.js';

/** Runs that are watched, cancelled and decided on through the real gateway, Temporal, workers and Redis. */
let base: string;
beforeAll(() => {
  base = address('GATEWAY_URL');
});

const json = { 'content-type': 'application/json' };
const call = (path: string, body?: object, headers: Record<string, string> = {}) =>
  fetch(`${base}${path}`, {
    method: 'POST',
    headers: { ...(body && json), ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });
const start = async (pipeline: string, input: object): Promise<string> =>
  ((await (await call(`/v1/pipelines/${pipeline}/runs`, input)).json()) as RunDocument).id;
const read = async (id: string): Promise<RunDocument> =>
  (await (await fetch(`${base}/v1/runs/${id}`)).json()) as RunDocument;
const events = (id: string) => `${base}/v1/runs/${id}/events`;
const stageEvents = (all: readonly ReadEvent[]): StageEvent[] =>
  all.filter(({ event }) => event.startsWith('stage.')).map(({ data }) => JSON.parse(data) as StageEvent);
const runIn = (all: readonly ReadEvent[]): RunDocument => JSON.parse(all.at(-1)?.data ?? 'null') as RunDocument;

/** Follows a run to its end, leaving every now and then and coming back. */
async function followedInPieces(url: string, pieces: readonly number[]): Promise<ReadEvent[]> {
  const all: ReadEvent[] = [];
  for (const most of pieces) all.push(...(await someEvents(url, all.at(-1)?.id, most)));
  all.push(...(await someEvents(url, all.at(-1)?.id, Number.POSITIVE_INFINITY)));
  return all;
}

describe('the events of a run', () => {
  it('are the same for one who leaves ten times and comes back as for one who stays', async () => {
    const id = await start('talkative', { items: Array.from({ length: 12 }, (_, i) => `item ${i}`), ms: 150 });
    const pieces = [1, 2, 3, 1, 4, 2, 5, 3, 1, 6];
    const [whole, parted] = await Promise.all([
      fetch(events(id)).then(allEvents),
      followedInPieces(events(id), pieces),
    ]);
    expect(parted).toEqual(whole);
    expect(new Set(whole.map(({ id }) => id)).size).toBe(whole.length);
    expect(whole.at(-1)).toMatchObject({ id: 'end', event: 'run' });
    expect(runIn(whole)).toEqual(await read(id));
    const of = (path: string) => stageEvents(whole).filter((event) => event.path === path);
    for (let i = 0; i < 12; i++) {
      expect(of(`items[${i}]/say`).map(({ type, stage }) => [type, stage])).toEqual([
        ['stage.started', 'say'],
        ['stage.delta', 'say'],
        ['stage.finished', 'say'],
      ]);
    }
    // Long over, they are read as they were.
    expect(await allEvents(await fetch(events(id)))).toEqual(whole);
    expect((await fetch(events(id), { headers: { 'last-event-id': 'end' } })).status).toBe(204);
  });

  it('have a reply’s text as the model server gives it', async () => {
    // A worker that stands still sends several pieces as one, and a short reply as a whole.
    await caught('a reply in pieces', async () => {
      const id = await start('ask', { question: 'What is the capital of France?' });
      const all = await allEvents(await fetch(events(id)));
      const texts = stageEvents(all).flatMap((event) => (event.type === 'stage.delta' ? [event.text] : []));
      expect(texts.join('').trim()).toBe(runIn(all).output?.reply);
      return texts.length > 1 ? texts : undefined;
    });
  });

  it('come with the start of a run that asks for them', async () => {
    const input = { items: ['one'], ms: 1 };
    const response = await call('/v1/pipelines/talkative/runs', input, { accept: 'text/event-stream' });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const all = await allEvents(response);
    const { id } = runIn(all);
    expect(response.headers.get('location')).toBe(`/v1/runs/${id}`);
    expect(stageEvents(all)).toEqual(stageEvents(await allEvents(await fetch(events(id)))));
  });

  it('of a run whose events are gone are its end', async () => {
    const id = await start('over-items', { items: [2] });
    await until('the run has ended', async () => (await read(id)).status !== 'running');
    const redis = new Redis(address('REDIS_URL'));
    expect(await redis.del(`millrace:events:{${id}}`)).toBe(1);
    redis.disconnect();
    expect(await allEvents(await fetch(events(id)))).toEqual([
      { id: 'end', event: 'run', data: JSON.stringify(await read(id)) },
    ]);
  });

  it('say which attempt failed and why', async () => {
    const { file } = new CallLog();
    const id = await start('flaky-run', { log: file, failures: 1, code: 'BACKEND_UNAVAILABLE' });
    const all = stageEvents(await allEvents(await fetch(events(id))));
    expect(all.map(({ type, attempt }) => [type, attempt])).toEqual([
      ['stage.started', 1],
      ['stage.failed', 1],
      ['stage.started', 2],
      ['stage.finished', 2],
    ]);
    expect(all[1]).toMatchObject({ code: 'BACKEND_UNAVAILABLE', message: expect.stringContaining('failure 1') });
  });

  it('reach many followers of one process', async () => {
    const ids = await Promise.all(
      Array.from({ length: 10 }, (_, i) => start('talkative', { items: [`a${i}`, `b${i}`], ms: 50 })),
    );
    const followed = await Promise.all(
      ids.flatMap((id) => [id, id, id]).map((id) => fetch(events(id)).then(allEvents)),
    );
    for (const [i, id] of ids.entries()) {
      const [first, second, third] = followed.slice(3 * i, 3 * i + 3);
      expect(second).toEqual(first);
      expect(third).toEqual(first);
      expect(runIn(first ?? [])).toMatchObject({ id, status: 'succeeded' });
    }
  });
});

describe('cancel', () => {
  it('reaches the model server long before it would have finished', async () => {
    const server = await watchedLlm().watch();
    const id = await start('long-story', {});
    for await (const { event } of readEvents(await fetch(events(id)))) if (event === 'stage.delta') break;
    expect(await server.hasEnded(1), 'the server is at work').toBe(false);
    const before = performance.now();
    expect((await call(`/v1/runs/${id}/cancel`)).status).toBe(202);
    await until('the server has stopped', () => server.hasEnded(1));
    expect(performance.now() - before).toBeLessThan(60_000);
    const all = await allEvents(await fetch(events(id)));
    expect(stageEvents(all).at(-1)).toMatchObject({ type: 'stage.failed', code: 'RUN_CANCELLED' });
    expect(runIn(all)).toMatchObject({ status: 'cancelled', error: { code: 'RUN_CANCELLED' } });
    const again = await call(`/v1/runs/${id}/cancel`);
    expect([again.status, ((await again.json()) as Problem).code]).toEqual([409, 'RUN_ENDED']);
  });
});

describe('a stage that waits for a person', () => {
  const waitingIn = async (id: string, count: number): Promise<ReadEvent[]> => {
    const all: ReadEvent[] = [];
    for await (const event of readEvents(await fetch(events(id)))) {
      all.push(event);
      if (all.filter(({ event }) => event === 'stage.waiting').length === count) break;
    }
    return all;
  };

  it('tells that it waits, for what and until when, and who has decided', async () => {
    const id = await start('gated', { log: new CallLog().file });
    const [waiting] = stageEvents(await waitingIn(id, 1));
    expect(waiting).toEqual({
      type: 'stage.waiting',
      stage: 'sign-off',
      path: 'sign-off',
      attempt: 1,
      nonce: expect.any(String),
      subject: 'one step',
      since: expect.stringMatching(/^\d{4}-.+Z$/),
      until: expect.stringMatching(/^\d{4}-.+Z$/),
      otherwise: false,
    });
    const left = Date.parse((waiting as { until: string }).until) - Date.now();
    expect(left / 60_000).toBeCloseTo(60, 0);
    const { nonce } = waiting as { nonce: string };
    expect((await call(`/v1/runs/${id}/reject`, { nonce, by: 'ada' })).status).toBe(202);
    const all = await allEvents(await fetch(events(id)));
    expect(stageEvents(all).map(({ type, stage }) => [type, stage])).toEqual([
      ['stage.waiting', 'sign-off'],
      ['stage.decided', 'sign-off'],
      ['stage.started', 'first'],
      ['stage.finished', 'first'],
    ]);
    expect(stageEvents(all)[1]).toMatchObject({ nonce, approved: false, by: 'ada' });
    expect(runIn(all).output).toMatchObject({ approved: false, by: 'ada' });
    // Temporal knows the decision again when the run is over, and another from it.
    expect((await call(`/v1/runs/${id}/reject`, { nonce, by: 'ada' })).status).toBe(202);
    const late = await call(`/v1/runs/${id}/approve`, { nonce });
    expect([late.status, ((await late.json()) as Problem).code]).toEqual([409, 'RUN_ENDED']);
  });

  it('is named where several wait, by item; the others take their default', async () => {
    const id = await start('reviews', { items: ['a', 'b'] });
    const waits = stageEvents(await waitingIn(id, 2)) as unknown as { path: string; nonce: string }[];
    const nonceAt = (path: string) => waits.find((wait) => wait.path === path)?.nonce;
    const problem = async (body: object) => {
      const response = await call(`/v1/runs/${id}/approve`, body);
      return [response.status, ((await response.json()) as Problem).code];
    };
    expect(await problem({})).toEqual([422, 'INVALID_INPUT']);
    expect(await problem({ nonce: 'none' })).toEqual([409, 'NOT_WAITING']);
    const [first, second] = ['items[0]/review', 'items[1]/review'].map(nonceAt);
    expect(await problem({ nonce: first, stage: 'items[1]/review' })).toEqual([409, 'NOT_WAITING']);
    const both = await Promise.all([
      call(`/v1/runs/${id}/approve`, { nonce: second, stage: 'items[1]/review', by: 'ada' }),
      call(`/v1/runs/${id}/approve`, { nonce: second, by: 'bob' }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual([202, 409]);
    const by = both[0]?.status === 202 ? 'ada' : 'bob';
    const all = await allEvents(await fetch(events(id)));
    const decided = stageEvents(all).filter(({ type }) => type === 'stage.decided');
    expect(decided).toMatchObject([
      { path: 'items[1]/review', approved: true, by },
      { path: 'items[0]/review', approved: false, by: 'timeout' },
    ]);
  });

  it('fails when the run has no more time for a decision', async () => {
    // Where the machine stands still, the run's time is over before it comes to the review.
    const review = await caught('a review before the deadline', async () => {
      const id = await start('unreviewed', {});
      const found = stageEvents(await allEvents(await fetch(events(id)))).filter(({ path }) => path === 'review');
      return found.length === 0 ? undefined : found;
    });
    expect(review.map(({ type }) => type)).toEqual(['stage.waiting', 'stage.failed']);
    expect(review[1]).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('is another tenant’s business: no run', async () => {
    const id = await start('gated', { log: new CallLog().file });
    await waitingIn(id, 1);
    for (const what of ['cancel', 'approve', 'reject']) {
      const response = await call(`/v1/runs/${id}/${what}`, undefined, { 'millrace-tenant': 'other' });
      expect([response.status, ((await response.json()) as Problem).code]).toEqual([404, 'RUN_NOT_FOUND']);
    }
    expect((await fetch(events(id), { headers: { 'millrace-tenant': 'other' } })).status).toBe(404);
    await call(`/v1/runs/${id}/cancel`);
    expect(runIn(await allEvents(await fetch(events(id)))).status).toBe('cancelled');
  });
});

/** The position before the first event. */
const START = '0-0';

describe('where Redis is away', () => {
  let redis: OwnRedis;
  let served: ServedPipelines;
  beforeAll(async () => {
    redis = await ownRedis(address('REDIS_URL'));
    await redis.start();
    const more = { REDIS_URL: redis.url, MILLRACE_PIPELINES: 'test/fixtures/pipelines.mjs' };
    served = await servePipelines(Object.values(fixtures).filter((each) => 'plan' in each) as never[], {
      answersRedis: redis.url,
      more,
    });
  });
  afterAll(async () => {
    await served?.close();
    await redis?.kill();
  });

  const begin = async (items: number, ms: number) => {
    const input = { items: Array.from({ length: items }, (_, i) => `item ${i}`), ms };
    const response = await served.post('talkative', JSON.stringify(input), json);
    return `${served.url}/v1/runs/${((await response.json()) as RunDocument).id}/events`;
  };
  const grows = (all: readonly ReadEvent[]) => {
    const ids = all.slice(0, -1).map(({ id = '' }) => id.split('-').map(Number) as [number, number]);
    return ids.every(([ms, no], i) => {
      const [msBefore, noBefore] = ids[i - 1] ?? [0, 0];
      return ms > msBefore || (ms === msBefore && no > noBefore);
    });
  };

  /** Without what is told once and not kept: that events were lost just now. It has the position of what was before it. */
  const kept = (all: readonly ReadEvent[]) =>
    all.filter(({ id, event }, i) => event !== 'events.lost' || (id !== START && id !== all[i - 1]?.id));

  it('for a while, the followers wait for it and get what it still has, once', async () => {
    const url = await begin(20, 300);
    const following = fetch(url).then(allEvents);
    await sleep(600);
    redis.stall();
    await sleep(1_200);
    redis.resume();
    const all = kept(await following);
    expect(grows(all)).toBe(true);
    expect(runIn(all).status).toBe('succeeded');
    expect(all.slice(0, -1)).toEqual((await allEvents(await fetch(url))).slice(0, -1));
  });

  it('and comes back empty, they get what comes then', async () => {
    // The connections are made anew within a second or two: of a run that is over by then nothing comes.
    const all = await caught('a run behind the return', async () => {
      const url = await begin(20, 500);
      const following = fetch(url).then(allEvents);
      await sleep(600);
      await redis.kill();
      await sleep(500);
      await redis.start();
      const back = Date.now();
      const found = kept(await following);
      expect(grows(found)).toBe(true);
      return Date.parse(runIn(found).endedAt ?? '') - back < 2_000 ? undefined : found;
    });
    expect(stageEvents(all)).toContainEqual(expect.objectContaining({ type: 'stage.finished', path: 'last' }));
    expect(runIn(all).status).toBe('succeeded');
  });

  it('and stays so, they get the run when it has ended, and are told that events are missing', async () => {
    await redis.kill();
    const url = await begin(2, 50);
    const all = await fetch(url).then(allEvents);
    expect(all.map(({ id, event }) => [id, event])).toEqual([
      [START, 'events.lost'],
      ['end', 'run'],
    ]);
    expect(runIn(all)).toMatchObject({ status: 'succeeded', output: { said: ['item 0', 'item 1'] } });
  });
});
