import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
  const cacheOf = async (question: string, as: string) => (await resultOf(await run(question, as))).stages[0]?.cache;

  it('serves the same tenant in other words, and never another tenant', async () => {
    const [ada, bob] = [tenant('ada'), tenant('bob')];
    expect(await cacheOf('What is the name of my dog?', ada)).toBe('miss');
    expect(await cacheOf('What is the name of my dog?', bob)).toBe('miss');
    expect(await cacheOf('Please tell me the name of my dog.', ada)).toBe('hit');
    expect(await cacheOf('What is the name of my cat?', ada)).toBe('miss');
  });

  it('marks the run with the search attribute, so that hits can be listed', async () => {
    const as = tenant('listed');
    const first = await run('Who wrote Hamlet?', as);
    await resultOf(first);
    const second = await run('Who wrote Hamlet?', as);
    await resultOf(second);
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
    const as = tenant('flight');
    const runs = await Promise.all(Array.from({ length: 6 }, () => run('Why is the sea salty?', as)));
    const results = await Promise.all(runs.map(resultOf));
    const outcomes = results.map(({ stages }) => stages[0]?.cache);
    expect(outcomes.filter((outcome) => outcome === 'miss')).toHaveLength(1);
    expect(outcomes.every((outcome) => outcome === 'miss' || outcome === 'shared' || outcome === 'hit')).toBe(true);
    expect(new Set(results.map(({ output }) => output.reply)).size).toBe(1);
  });
});
