import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caught } from '../support/caught.js';
import { connect, fixtures, resultOf, start, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';

const QUEUE = testSettings().MILLRACE_TASK_QUEUE;
/** Answers kept by an earlier run of the tests must not count. */
const tenant = (name: string) => `${name}-${process.pid}-${Date.now()}`;

describe('a cached stage in a run', () => {
  let client: Client;
  beforeAll(async () => {
    client = await connect();
  });
  afterAll(async () => {
    await client.connection.close();
  });
  const run = (question: string, as: string) => start(client, fixtures.askCached, { question }, QUEUE, as);
  /** A cache whose embedder answers late is passed by, and keeps nothing of it: the question is asked again. */
  const cacheOf = (question: string, as: string) =>
    caught('the cache', async () => {
      const { stages } = await resultOf(await run(question, as));
      const cache = stages[0]?.cache;
      return cache === 'bypass' ? undefined : cache;
    });

  it('serves the same tenant in other words, and never another tenant', async () => {
    const [ada, bob] = [tenant('ada'), tenant('bob')];
    expect(await cacheOf('What is the name of my dog?', ada)).toBe('miss');
    expect(await cacheOf('What is the name of my dog?', bob)).toBe('miss');
    expect(await cacheOf('Please tell me the name of my dog.', ada)).toBe('hit');
    expect(await cacheOf('What is the name of my cat?', ada)).toBe('miss');
  });

  it('marks the run with the search attribute, so that hits can be listed', async () => {
    const as = tenant('listed');
    const asked = (cache: string) =>
      caught(`a ${cache}`, async () => {
        const handle = await run('Who wrote Hamlet?', as);
        const { stages } = await resultOf(handle);
        expect([cache, 'bypass']).toContain(stages[0]?.cache);
        return stages[0]?.cache === cache ? handle : undefined;
      });
    const first = await asked('miss');
    const second = await asked('hit');
    const listed = async () => {
      const hits: string[] = [];
      const query = `MillraceCacheHit = true AND WorkflowId IN ("${first.workflowId}", "${second.workflowId}")`;
      for await (const { workflowId } of client.workflow.list({ query })) hits.push(workflowId);
      return hits;
    };
    await until('the hit is listed', async () => (await listed()).length > 0);
    expect(await listed()).toEqual([second.workflowId]);
  });

  it('asks the model once for identical requests in flight', async () => {
    const results = await caught('six that find the cache', async () => {
      const as = tenant('flight');
      const runs = await Promise.all(Array.from({ length: 6 }, () => run('Why is the sea salty?', as)));
      const all = await Promise.all(runs.map(resultOf));
      return all.some(({ stages }) => stages[0]?.cache === 'bypass') ? undefined : all;
    });
    const outcomes = results.map(({ stages }) => stages[0]?.cache);
    expect(outcomes.filter((outcome) => outcome === 'miss')).toHaveLength(1);
    expect(outcomes.every((outcome) => outcome === 'miss' || outcome === 'shared' || outcome === 'hit')).toBe(true);
    expect(new Set(results.map(({ output }) => output.reply)).size).toBe(1);
  });
});
