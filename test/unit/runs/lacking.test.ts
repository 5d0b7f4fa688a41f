import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { agent, code, type Pipeline, pipeline, pipelineTool } from '../../../pipelines/index.js';
import type { StageRecord } from '../../../pipelines/run/index.js';
import { lackingIn } from '../../../runs/lacking.js';

const n = z.object({ n: z.number() });
const charge = code('charge', { input: n, output: n }, (given) => given);
const payOf = (record: 'full' | 'off') =>
  pipeline('pay', { input: n, record }, ({ input, stage }) => ({ n: stage('charge', charge, { n: input.n }).n }));
const shopOf = (record: 'full' | 'off') =>
  pipeline('shop', { input: z.object({ order: z.string() }) }, ({ input, stage }) => {
    const clerk = agent({ model: 'assistant', tools: [pipelineTool(payOf(record), { description: 'Pays' })] });
    return { text: stage('sell', clerk, { prompt: input.order }).text };
  }) as unknown as Pipeline;

const row = (more: Partial<StageRecord> = {}): StageRecord => ({
  stage: 'sell',
  kind: 'agent',
  connector: 'openai',
  model: 'assistant',
  device: 'gpu0',
  status: 'failed',
  ...more,
});
const DAY_MS = 86_400_000;
const lacking = (shop: Pipeline, stage: StageRecord, kept = 0) =>
  lackingIn(
    { plan: shop.plan, stages: [stage], endedAt: new Date() },
    { succeeded: new Map([['sell', kept]]), gaps: 0 },
    DAY_MS,
  );

describe('what the record of an agent lacks', () => {
  it('is a call of its model for each turn, and none for the runs that it has called', () => {
    const calls = [
      { turn: 1, name: 'pay', end: 'done' },
      { turn: 2, name: 'pay', end: 'refused' },
    ];
    expect(lacking(shopOf('full'), row({ calls }), 1)).toEqual(['sell (1 of 2 calls kept)']);
    expect(lacking(shopOf('full'), row({ calls }), 2)).toEqual([]);
  });

  it('is everything of runs that keep nothing', () => {
    expect(lacking(shopOf('off'), row())).toEqual(['sell (its calls are not kept)']);
    expect(lacking(shopOf('off'), row({ status: 'waiting' }))).toEqual([]);
    expect(lacking(shopOf('full'), row())).toEqual([]);
  });
});

it('a row that is shortened may lack decisions, and calls', () => {
  expect(lacking(shopOf('full'), row({ status: 'done', shortened: true }), 1)).toEqual([
    'sell (its row lacks decisions or calls)',
  ]);
});
