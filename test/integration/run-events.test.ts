import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StageCall } from '../../pipelines/run/index.js';
import { RunEventLog, RunEventReader } from '../../stores/events/index.js';
import { connected } from '../../stores/redis/index.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address, until } from '../support/runs.js';
import { testRedis } from '../support/test-worker.js';

const call = { stage: 'answer', kind: 'chat', model: 'assistant', events: true } as StageCall;

/** A writer and a reader of one Redis, as a worker and a gateway have them. */
async function pair(url?: string) {
  const all = [testRedis(url), testRedis(url), testRedis(url)] as const;
  for (const redis of all) await connected(redis, 30_000);
  const [writing, reading, listening] = all;
  return {
    log: new RunEventLog(writing),
    reader: new RunEventReader(reading, listening),
    listening,
    close() {
      for (const redis of all) redis.disconnect();
    },
  };
}
type Pair = Awaited<ReturnType<typeof pair>>;

/** Follows a run into lists, until `stop`. */
function follow({ reader }: Pair, run: string, after?: string) {
  const over = new AbortController();
  const texts: string[] = [];
  const ids: string[] = [];
  const done = (async () => {
    for await (const { id, event } of reader.follow(run, after, over.signal)) {
      ids.push(id);
      if (event.type === 'stage.delta') texts.push(event.text);
    }
  })();
  return { texts, ids, done, stop: () => over.abort() };
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => String(from + i));

describe('who follows a run', () => {
  let both: Pair;
  beforeAll(async () => {
    both = await pair();
  });
  afterAll(() => both.close());

  const attempt = () => {
    const run = `events-test-${randomUUID()}`;
    const events = both.log.attempt(run, call, 1);
    if (!events) throw new Error('the call tells nothing');
    const publish = (...texts: string[]) => {
      for (const text of texts) events.delta(text);
    };
    return { run, publish, events };
  };

  it('gets what has been and what comes, each once and in order', async () => {
    const { run, publish } = attempt();
    publish(...numbers(0, 50));
    const one = follow(both, run);
    await until('the first are here', () => one.texts.length >= 50);
    publish(...numbers(50, 100));
    const two = follow(both, run);
    publish(...numbers(100, 150));
    for (const each of [one, two]) {
      await until('all are here', () => each.texts.length >= 150);
      each.stop();
      await each.done;
      expect(each.texts).toEqual(numbers(0, 150));
    }
  });

  it('goes on behind a position', async () => {
    const { run, publish } = attempt();
    publish(...numbers(0, 10));
    const one = follow(both, run);
    await until('all are here', () => one.texts.length === 10);
    one.stop();
    const two = follow(both, run, one.ids[4]);
    await until('the rest is here', () => two.texts.length === 6);
    two.stop();
    // The first entry tells that the stage has started.
    expect(two.texts).toEqual(numbers(4, 10));
  });

  it('loses nothing by being slower than what is told, and holds no more than a page of it', async () => {
    const { run, publish, events } = attempt();
    const seen: string[] = [];
    const over = new AbortController();
    const following = (async () => {
      for await (const { event } of both.reader.follow(run, undefined, over.signal)) {
        if (event.type !== 'stage.delta') continue;
        if (seen.push(event.text) === 1) {
          publish(...numbers(1, 1_500));
          await events.finished('off', 1);
        }
      }
    })();
    publish('0');
    await until('all are here', () => seen.length >= 1_500);
    over.abort();
    await following;
    expect(seen).toEqual(numbers(0, 1_500));
  });

  it('is given what is there before it is let go', async () => {
    const { run, publish, events } = attempt();
    const one = follow(both, run);
    publish('a');
    await events.finished('off', 1);
    one.stop();
    await one.done;
    expect(one.texts).toEqual(['a']);
  });
});

describe('when Redis goes and comes back', () => {
  let redis: OwnRedis;
  let both: Pair;
  beforeAll(async () => {
    redis = await ownRedis(address('REDIS_URL'));
    await redis.start();
    both = await pair(redis.url);
  });
  afterAll(async () => {
    both.close();
    await redis.kill();
  });

  it('what is told after that arrives', async () => {
    const run = `events-test-${randomUUID()}`;
    const one = follow(both, run);
    both.log.attempt(run, call, 1)?.delta('before');
    await until('the first is here', () => one.texts.length === 1);
    await redis.kill();
    await redis.start();
    await until('the listener is back', () => both.listening.status === 'ready');
    await until('a new event arrives', () => {
      both.log.attempt(run, call, 2)?.delta('after');
      return one.texts.includes('after');
    });
    one.stop();
    await one.done;
  });
});
