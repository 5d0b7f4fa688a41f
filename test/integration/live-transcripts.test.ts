import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { createConnectors } from '../../activities/connectors/index.js';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { pipeline, synthesize, transcribe } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { place } from '../../placement/place.js';
import { RunEventReader } from '../../stores/events/index.js';
import { composeStages, type Stages } from '../../workers/compose.js';
import { runInProcess } from '../../workers/hosts/in-process-host.js';
import { createLogger } from '../../workers/logger.js';
import { loadModels, poolDescriptions } from '../../workers/models.js';
import { caught } from '../support/caught.js';
import { address, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { testRedis } from '../support/test-worker.js';
import { loadTestModel } from '../support/triton-models.js';

/* Who follows a run reads what a decoupled recogniser hears while it listens. */

const listen = pipeline('listen', { input: z.object({ text: z.string() }) }, ({ input, stage }) => {
  const said = stage('say', synthesize({ model: 'tts' }), { text: input.text });
  return { text: stage('hear', transcribe({ model: 'ears' }), { audio: said.audio }).text };
});

/** Other files have the model too, and unload it. */
const MODEL = 'streaming-ears-told';
const EARS = {
  connector: 'triton',
  kind: 'transcribe',
  model: MODEL,
  endpoints: [{ url: address('TRITON_URL'), device: 'cpu0' }],
  options: {
    tensors: {
      inputs: { samples: { from: 'audio', sampleRate: 8_000, seconds: 30 } },
      outputs: { partial: { to: 'text', responses: 'whole' } },
    },
  },
};

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-ears-'));
const servers = Object.fromEntries(
  (['REDIS_URL', 'REDIS_INDEX_URL', 'REDIS_CACHE_URL', 'TRITON_URL', 'LLM_BASE_URL'] as const).map((name) => [
    name,
    address(name),
  ]),
);
const client = new TritonClient(address('TRITON_URL'));
const redis = [testRedis(), testRedis()] as const;
let stages: Stages;
let modelsFile = '';

beforeAll(async () => {
  await loadTestModel(client, 'streaming-ears', MODEL);
  const settings = testSettings({ MILLRACE_PIPELINES: '', ...servers });
  modelsFile = path.join(folder, 'models.json');
  writeFileSync(modelsFile, JSON.stringify({ ...(await loadModels(settings)), ears: EARS }));
  stages = await composeStages(settingsOf(), createLogger(settingsOf(), 'test'));
});
afterAll(async () => {
  await stages.close();
  await client.unload(MODEL, AbortSignal.timeout(60_000));
  client.close();
  for (const each of redis) each.disconnect();
  rmSync(folder, { recursive: true, force: true });
});

const settingsOf = () =>
  testSettings({
    MILLRACE_LOG_LEVEL: 'silent',
    MILLRACE_PIPELINES: '',
    MILLRACE_MODELS: modelsFile,
    ...servers,
  });

it('partial texts are told one by one before the stage has ended, and are the whole in the end', async () => {
  const placement = place(listen.plan, poolDescriptions(await loadModels(settingsOf()), createConnectors()), 'test');
  // Where this process stands still, it is told all of them at once.
  await caught('the first word before the last', async () => {
    const run = randomUUID();
    const over = new AbortController();
    const told: { text: string; at: number }[] = [];
    const following = (async () => {
      for await (const { event } of new RunEventReader(...redis).follow(run, undefined, over.signal)) {
        if (event.type === 'stage.delta' && event.stage === 'hear')
          told.push({ text: event.text, at: performance.now() });
      }
    })();
    const context = { plan: listen.plan, placement, tenant: `ears-${run}`, events: true as const };
    const { output } = await runInProcess(
      { text: 'The mill turns, the water falls, and the grain is ground to flour for the bread of the whole village.' },
      context,
      { runner: stages.runner, run },
    );
    const { text } = output as JsonObject;
    await until('all is told', () => told.map((each) => each.text).join('') === text);
    over.abort();
    await following;
    expect(String(text)).toMatch(/^(loud|quiet|silent)( (loud|quiet|silent)){3,}$/);
    // The model takes 50 ms for each second: the first word is told while it still listens.
    const before = (told.at(-1)?.at ?? 0) - (told[0]?.at ?? 0);
    return told.length >= 3 && before > 50 ? before : undefined;
  });
});
