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
/** @param kept calls in the record, as the store names them */
const lacking = (shop: Pipeline, stage: StageRecord, ...kept: readonly string[]) =>
  lackingIn(
    { plan: shop.plan, stages: [stage], endedAt: new Date() },
    {
      succeeded: new Map([['sell', kept.length]]),
      turns: new Map([['sell', new Map(kept.map((name) => [name, kept.filter((other) => other === name).length]))]]),
      gaps: 0,
    },
    DAY_MS,
  );

describe('what the record of an agent lacks', () => {
  it('is a call of its model for each turn, and none for the runs that it has called', () => {
    const calls = [
      { turn: 1, name: 'pay', end: 'done' },
      { turn: 2, name: 'pay', end: 'refused' },
    ];
    expect(lacking(shopOf('full'), row({ calls }), '1')).toEqual(['sell (1 of 2 calls kept)']);
    expect(lacking(shopOf('full'), row({ calls }), '1', '2')).toEqual([]);
  });

  const turns = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const madeIn = (all: readonly number[]) => all.map((turn) => ({ turn, name: 'look', end: 'done' }));
  const keptOf = (all: readonly number[]) => all.flatMap((turn) => [`${turn}`, `${turn}/look`]);

  it('is each of its calls that is not there, though there are as many others', () => {
    const calls = madeIn(turns(1, 4));
    const guards = turns(3, 4).flatMap((turn) => [`${turn}/guard_in`, `${turn}/guard_out`]);
    expect(lacking(shopOf('full'), row({ calls }), ...keptOf(turns(3, 4)), ...guards)).toEqual([
      'sell (4 of 8 calls kept)',
    ]);
    expect(lacking(shopOf('full'), row({ calls }), ...keptOf(turns(1, 4)), ...guards)).toEqual([]);
    const twice = [...calls, { turn: 4, name: 'look', end: 'done' }];
    expect(lacking(shopOf('full'), row({ calls: twice }), ...keptOf(turns(1, 4)))).toEqual([
      'sell (8 of 9 calls kept)',
    ]);
  });

  it('is what it did before the calls that its row still lists', () => {
    const long = row({ calls: madeIn(turns(51, 100)), earlierCalls: { look: 50, pay: 3 } });
    expect(lacking(shopOf('full'), long, ...keptOf(turns(51, 100)))).toEqual(['sell (100 of 200 calls kept)']);
    const [, lost = '', ...others] = keptOf(turns(1, 100));
    expect(lacking(shopOf('full'), long, ...others, '1')).toEqual(['sell (199 of 200 calls kept)']);
    expect(lacking(shopOf('full'), long, ...others, '1', lost)).toEqual([]);
    // The row of a worker of an earlier release tells of its turns alone.
    const { earlierCalls: _, ...bare } = long;
    expect(lacking(shopOf('full'), bare, ...keptOf(turns(51, 100)))).toEqual(['sell (100 of 150 calls kept)']);
  });

  it('is everything of runs that keep nothing', () => {
    expect(lacking(shopOf('off'), row())).toEqual(['sell (its calls are not kept)']);
    expect(lacking(shopOf('off'), row({ status: 'waiting' }))).toEqual([]);
    expect(lacking(shopOf('full'), row())).toEqual([]);
  });
});

it('a row that is shortened may lack decisions, and calls', () => {
  expect(lacking(shopOf('full'), row({ status: 'done', shortened: true }), '1')).toEqual([
    'sell (its row lacks decisions or calls)',
  ]);
});
