import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createConnectors } from '../../../../activities/connectors/index.js';
import { Pools, parseModels } from '../../../../activities/pools/index.js';
import { affinityOf, promptTextOf } from '../../../../activities/stage/affinity.js';
import { StageRunner } from '../../../../activities/stage/stage-runner.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { recordingLogger } from '../../../support/caches.js';
import { idleParts } from '../../../support/runner-parts.js';
import { chunk, SimulatedServer } from '../connectors/openai-server.js';
import { counts } from '../pools/fakes.js';

const stageOf = (system: string): StageCall => ({
  pipeline: 'p',
  version: 'v',
  tenant: 'acme',
  stage: 'answer',
  kind: 'chat',
  model: 'assistant',
  with: { system },
  retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 },
});

describe('two servers of a pool with affinity "prefix"', () => {
  let servers: [SimulatedServer, SimulatedServer];
  let pools: Pools;
  let runner: StageRunner;
  const metrics = createMetrics();
  const answers = (server: SimulatedServer) =>
    server.events([chunk({ content: 'Noted, and what else is there?' }), chunk({}, 'stop')]);

  beforeEach(async () => {
    servers = [await SimulatedServer.start(), await SimulatedServer.start()];
    for (const server of servers) answers(server);
    const endpoints = servers.map(({ endpoint }, i) => ({ url: endpoint, device: `gpu${i}` }));
    const assistant = { connector: 'openai', model: 'm', kind: 'chat', endpoints, affinity: 'prefix' };
    const { logger } = recordingLogger();
    const models = parseModels({ assistant }, 'test');
    pools = new Pools({ models, connectors: createConnectors(), metrics, logger, canaryIntervalMs: 60_000 });
    runner = new StageRunner({ ...idleParts(), pools, metrics, logger });
    await pools.get('assistant').reach(AbortSignal.timeout(110_000));
  });
  afterEach(async () => {
    pools.get('assistant').close();
    for (const server of servers) await server.stop();
  });

  /** A conversation that goes on with each turn. */
  function conversation(about: string) {
    const history: JsonObject[] = [];
    return async () => {
      const prompt = `Turn ${history.length / 2} about ${about}. `.repeat(10);
      const { output, endpoint } = await runner.run(
        { prompt, history: [...history] },
        stageOf('Be short. '.repeat(9)),
        {
          signal: AbortSignal.timeout(110_000),
          attempt: 1,
          queueMs: 0,
          run: 'run-1',
          resumeFrom: null,
          checkpoint: () => undefined,
        },
      );
      history.push({ role: 'user', content: prompt }, { role: 'assistant', content: output.text as string });
      return endpoint;
    };
  }

  it('a conversation stays with the server that has its prefix, and moves when that one is ejected', async () => {
    const [first, second] = [conversation('mills'), conversation('rivers')];
    const home = await first();
    const other = await second();
    expect(new Set([home, other])).toEqual(new Set(servers.map(({ endpoint }) => endpoint)));
    for (let i = 0; i < 20; i++) expect([await second(), await second()]).toEqual([other, other]);
    expect(await first()).toBe(home);

    const failing = servers.find(({ endpoint }) => endpoint === home) as SimulatedServer;
    failing.json(500, { error: { message: 'CUDA error: an illegal memory access was encountered' } });
    await expect(first()).rejects.toMatchObject({ code: 'BACKEND_ERROR' });
    expect(await counts(metrics.ejections)).toEqual({ [`assistant ${home}`]: 1 });
    expect(await first()).toBe(other);

    // The longest part of it is known there, also when the first server answers again.
    answers(failing);
    for (let i = 0; i < 3; i++) expect(await first()).toBe(other);
  });
});

describe('the text of a prompt', () => {
  const tools = [{ name: 'look', description: 'Looks', parameters: {} }];
  const image = { uri: 'artifact://acme/0', sha256: '0', mime: 'image/png', bytes: 1 };
  const opening = { prompt: 'One?', images: [image], tools };
  const options = { with: { system: 'Be short.' } };

  it('begins with that of the conversation so far, whatever was thought', () => {
    const history = [
      { role: 'user', content: 'One?', parts: [{ type: 'image', image }], toolCalls: [] },
      { role: 'assistant', content: 'Two.', reasoning: 'Hm.' },
    ];
    const before = promptTextOf(options, opening);
    const next = promptTextOf(options, { prompt: 'Three?', history, tools });
    expect(next.startsWith(`${before}\n`)).toBe(true);
    const last = [...history, { role: 'user', content: 'Three?' }, { role: 'tool', content: 'x', toolCallId: '1' }];
    expect(promptTextOf(options, { history: last, tools }).startsWith(`${next}\n`)).toBe(true);
    expect(next).not.toContain('Hm.');
    const named = promptTextOf(options, { history: [{ role: 'user', content: 'One?', name: 'Ada' }], tools });
    expect(named).toContain('Ada');
  });

  it('differs from its start on by tools and system message, of the stage or the call', () => {
    const texts = [
      promptTextOf(options, opening),
      promptTextOf({ with: {} }, opening),
      promptTextOf({ with: { system: 'Be long.' } }, opening),
      promptTextOf(options, { prompt: 'One?', images: [image] }),
    ];
    expect(new Set(texts).size).toBe(4);
    expect(promptTextOf({ with: { ...options.with, tools } }, { prompt: 'One?', images: [image] })).toBe(texts[0]);
  });

  it('is not that by which calls of one session are told', () => {
    const call = { kind: 'chat', with: {} };
    expect(affinityOf(call, { prompt: 'One?' })).toBeUndefined();
    expect(affinityOf({ ...call, kind: 'embed' }, { prompt: 'One?', history: [{ a: 1 }] })).toBeUndefined();
    const history = [{ role: 'user', content: 'One?' }];
    const key = affinityOf(call, { prompt: 'Two?', history });
    expect(key).toBeDefined();
    expect(affinityOf(call, { prompt: 'Three?', history: [...history, { role: 'assistant', content: 'a' }] })).toBe(
      key,
    );
  });
});
