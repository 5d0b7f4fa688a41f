import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { pino } from 'pino';
import type { GatewayDeps } from '../../gateway/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { place } from '../../placement/place.js';
import { startGuarded } from '../../runs/guarded-start.js';
import { prepareRun } from '../../runs/prepare.js';
import { Answers } from '../../stores/answers/index.js';
import { FastJobs } from '../../stores/jobs/index.js';
import { connected } from '../../stores/redis/index.js';
import { address, poolOf, until } from './runs.js';
import { testRedis } from './test-worker.js';

/** The part of a gateway that starts guarded runs. */
export async function starter(client: Client, queue: string, url = address('REDIS_URL')) {
  const [redis, subscriber] = [testRedis(url), testRedis(url)];
  for (const each of [redis, subscriber]) await connected(each, 60_000);
  const logger = pino({ level: 'silent' });
  const answers = new Answers(subscriber, logger);
  await until('answers can arrive', () => answers.channel !== undefined);
  const fast = new FastJobs(redis, queue);
  const deps = {
    temporal: client,
    taskQueue: queue,
    placementOf: (plan) => place(plan, poolOf, queue),
    answers,
    logger,
    fast,
  } as Partial<GatewayDeps> as GatewayDeps;
  return {
    redis,
    async start(pipeline: Pipeline, input: JsonObject) {
      const id = `${pipeline.name}-${randomUUID()}`;
      const answer = answers.expect(id, new AbortController().signal);
      const options = { priority: 'interactive' } as const;
      await startGuarded(deps, prepareRun(deps, { id, pipeline, tenant: 'default', input, options, answer: true }));
      return { id, answer, handle: client.workflow.getHandle(id) };
    },
    close() {
      redis.disconnect();
      subscriber.disconnect();
    },
  };
}
export type Starter = Awaited<ReturnType<typeof starter>>;
export type GuardedRun = Awaited<ReturnType<Starter['start']>>;
