import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunResult } from '../../pipelines/run/index.js';
import { caught } from '../support/caught.js';
import { connect, fixtures, resultOf, start, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';

const QUEUE = testSettings().MILLRACE_TASK_QUEUE;
/** Answers kept by an earlier run of the tests must not count. */
const tenant = (name: string) => `${name}-${process.pid}-${Date.now()}`;
/** Of the semantic cache; it lasts no shorter after each renewal. */
const LEASE_MS = 3_000;
type Run = Awaited<ReturnType<typeof start>>;

describe('a cached stage in a run', () => {
  let client: Client;
  beforeAll(async () => {
    client = await connect();
  });
  afterAll(async () => {
    await client.connection.close();
  });
  const run = (question: string, as: string) => start(client, fixtures.askCached, { question }, QUEUE, as);
  /** A cache that answers late is passed by; a call that its worker was too late for is made again, and may find its own answer. */
  const undisturbed = ({ stages: [answer] }: RunResult) => answer?.cache !== 'bypass' && (answer?.attempt ?? 1) === 1;

  it('serves the same tenant in other words, and never another tenant', async () => {
    const outcomes = await caught('four that find the cache', async () => {
      // Anew by others: what was disturbed may have left an answer.
      const [ada, bob] = [tenant('ada'), tenant('bob')];
      const results: RunResult[] = [];
      for (const [question, as] of [
        ['What is the name of my dog?', ada],
        ['What is the name of my dog?', bob],
        ['Please tell me the name of my dog.', ada],
        ['What is the name of my cat?', ada],
      ] as const)
        results.push(await resultOf(await run(question, as)));
      return results.every(undisturbed) ? results.map(({ stages }) => stages[0]?.cache) : undefined;
    });
    expect(outcomes).toEqual(['miss', 'miss', 'hit', 'miss']);
  });

  it('marks the run with the search attribute, so that hits can be listed', async () => {
    const [first, second] = await caught('a miss and a hit', async () => {
      const as = tenant('listed');
      const runs = [await run('Who wrote Hamlet?', as)];
      const results = [await resultOf(runs[0] as Run)];
      runs.push(await run('Who wrote Hamlet?', as));
      results.push(await resultOf(runs[1] as Run));
      if (!results.every(undisturbed)) return undefined;
      expect(results.map(({ stages }) => stages[0]?.cache)).toEqual(['miss', 'hit']);
      return runs as [Run, Run];
    });
    const listed = async () => {
      const hits: string[] = [];
      const query = `MillraceCacheHit = true AND WorkflowId IN ("${first.workflowId}", "${second.workflowId}")`;
      for await (const { workflowId } of client.workflow.list({ query })) hits.push(workflowId);
      return hits;
    };
    await until('the hit is listed', async () => (await listed()).length > 0);
    expect(await listed()).toEqual([second.workflowId]);
  });

  /** Who stands still for longer than its lease loses it, and another one asks too. */
  const leaseLost = (results: readonly RunResult[]) => {
    const misses = results.flatMap(({ stages: [answer] }) => (answer?.cache === 'miss' ? [answer] : []));
    return misses.length > 1 && misses.some(({ runMs = 0 }) => runMs > LEASE_MS);
  };

  it('asks the model once for identical requests in flight', async () => {
    const results = await caught('six that find the cache', async () => {
      const as = tenant('flight');
      const runs = await Promise.all(Array.from({ length: 6 }, () => run('Why is the sea salty?', as)));
      const all = await Promise.all(runs.map(resultOf));
      return all.every(undisturbed) && !leaseLost(all) ? all : undefined;
    });
    const outcomes = results.map(({ stages }) => stages[0]?.cache);
    expect(outcomes.filter((outcome) => outcome === 'miss')).toHaveLength(1);
    expect(outcomes.every((outcome) => outcome === 'miss' || outcome === 'shared' || outcome === 'hit')).toBe(true);
    expect(new Set(results.map(({ output }) => output.reply)).size).toBe(1);
  });
});
