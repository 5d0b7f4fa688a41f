import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createConnectors } from '../../activities/connectors/index.js';
import { readPassages } from '../../cli/passage-file.js';
import { ingest, ragAnswer } from '../../pipelines/catalog/index.js';
import type { Passage, Pipeline, ScoredPassage } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { place } from '../../placement/place.js';
import { composeStages, type Stages } from '../../workers/compose.js';
import { runInProcess } from '../../workers/hosts/in-process-host.js';
import { createLogger } from '../../workers/logger.js';
import { loadModels, poolDescriptions } from '../../workers/models.js';
import type { Settings } from '../../workers/settings.js';
import { address } from '../support/runs.js';
import { testSettings } from '../support/settings.js';

const SAMPLE = fileURLToPath(new URL('../../deploy/local/docs.jsonl', import.meta.url));

let stages: Stages;
let settings: Settings;
const tenants: string[] = [];
const tenant = () => {
  const name = `t-${randomUUID()}`;
  tenants.push(name);
  return name;
};

/** A run on the real servers, in this process. */
async function run(pipeline: Pipeline<never>, input: JsonObject, own: string) {
  const connectors = createConnectors();
  const { plan } = pipeline;
  const placement = place(plan, poolDescriptions(await loadModels(settings), connectors), 'test');
  return runInProcess(input, { plan, placement, tenant: own }, { runner: stages.runner, run: randomUUID() });
}

async function sample(): Promise<Passage[]> {
  const passages: Passage[] = [];
  for await (const passage of readPassages(SAMPLE)) passages.push(passage);
  return passages;
}

beforeAll(async () => {
  settings = testSettings({ MILLRACE_LOG_LEVEL: 'silent', MILLRACE_PIPELINES: '' });
  stages = await composeStages(settings, createLogger(settings, 'test'));
});

afterAll(async () => {
  await stages.close();
  const redis = new Redis(address('REDIS_INDEX_URL'));
  for (const own of tenants) {
    const keys = await redis.keys(`millrace:index:{${own}}:*`);
    if (keys.length > 0) await redis.del(...keys);
  }
  redis.disconnect();
});

describe('rag-answer', () => {
  it('answers from the tenant’s passages, which `ingest` has put there', async () => {
    const own = tenant();
    const passages = await sample();
    const put = await run(ingest as Pipeline<never>, { passages: passages as never }, own);
    expect(put.output).toEqual({ count: 20 });
    const { output, stages: table } = await run(
      ragAnswer as Pipeline<never>,
      { question: 'Which command checks my settings and servers?' },
      own,
    );
    const used = output.passages as unknown as ScoredPassage[];
    expect(used.map(({ id }) => id)).toContain('doctor');
    expect(typeof output.answer === 'string' && output.answer.length > 0).toBe(true);
    const rows = Object.fromEntries(table.map(({ stage, connector, status }) => [stage, { connector, status }]));
    expect(rows.retrieve).toEqual({ connector: 'redis', status: 'done' });
    expect(rows.answer).toEqual({ connector: 'openai', status: 'done' });
    expect(rows.rerank).toEqual({ connector: 'triton', status: 'done' });
    expect(used).toHaveLength(3);
  });

  it('fails with a code where a tenant has no passages', async () => {
    const failure = await run(ragAnswer as Pipeline<never>, { question: 'What?' }, tenant()).catch((error) => error);
    expect(failure).toMatchObject({ code: 'INDEX_NOT_FOUND' });
  });
});
