import { expect, it } from 'vitest';
import { z } from 'zod';
import { agent, chat, type Pipeline, pipeline, pipelineTool, tool } from '../../../pipelines/index.js';
import { usageOfRows } from '../../../pipelines/run/index.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';
import { scripted } from '../../support/scripted-model.js';

const next = tool({ name: 'next', description: 'x', input: z.object({}), run: () => 1 });
const model = scripted('costly', ({ tools }) => {
  const usage = { inputTokens: 100, outputTokens: 10 };
  return tools.length > 0 ? { calls: [['next', {}]], usage } : { text: 'Enough.', usage };
});
const costly = (budget?: object) =>
  pipeline('costly', { input: z.object({}) }, ({ stage }) => {
    const { usage, stoppedBy, turns } = stage('answer', agent({ model, tools: [next], ...(budget && { budget }) }), {
      prompt: '?',
    });
    return { usage, stoppedBy, turns };
  }) as unknown as Pipeline;

/** @param price of the pool, of a million tokens */
async function run(made: Pipeline, price?: { input: number; output: number }) {
  const context = contextOf(made);
  const { answer, ...others } = context.placement;
  const placement = answer ? { ...others, answer: { ...answer, ...(price && { price }) } } : others;
  const runner = new CodeRunner(made);
  return (await runInProcess({}, { ...context, placement }, { runner, run: 'r' })).output;
}

it('an agent’s cost is counted by its pool’s price, or by its budget’s', async () => {
  const output = await run(costly({ cost: 0.0002 }), { input: 1, output: 1 });
  // 110 tokens a turn: the second goes over, the third answers.
  expect(output).toMatchObject({ stoppedBy: 'cost', turns: 3, usage: { cost: expect.closeTo(0.00033, 9) } });
  const own = { cost: 0.0002, price: { input: 10, output: 10 } };
  expect(await run(costly(own), { input: 1, output: 1 })).toMatchObject({ stoppedBy: 'cost', turns: 2 });
});

it('a run’s cost is that of its rows: a stage’s by its own pool’s price, an agent’s with those of its tools', async () => {
  const usage = { inputTokens: 1_000, outputTokens: 100 };
  const [large, small] = ['large', 'small'].map((name) => scripted(name, () => ({ text: 'x', usage })));
  const inner = pipeline('inner', { description: 'x', input: z.object({}) }, ({ stage }) => ({
    text: stage('think', chat({ model: large as string }), { prompt: '?' }).text,
  }));
  const asking = scripted('asking', ({ messages }) =>
    messages.length > 1 ? { text: 'x', usage } : { calls: [['inner', {}]], usage },
  );
  const made = pipeline('priced', { input: z.object({}) }, ({ stage }) => {
    const first = stage('first', chat({ model: small as string }), { prompt: '?' });
    const { text } = stage('answer', agent({ model: asking, tools: [pipelineTool(inner)] }), { prompt: first.text });
    return { text };
  }) as unknown as Pipeline;
  const context = contextOf(made);
  const at = (rate: number) => ({ price: { input: rate, output: 10 * rate } });
  const prices: Record<string, object> = { first: at(1), answer: at(2), 'answer/inner/think': at(100) };
  const rows = Object.entries(context.placement).map(([row, placed]) => [row, { ...placed, ...prices[row] }]);
  const placement = Object.fromEntries(rows) as typeof context.placement;
  const { stages } = await runInProcess({}, { ...context, placement }, { runner: new CodeRunner(made), run: 'r' });
  // Each call costs 2,000 times its rate, of a million: 1,000 tokens, and 100 at ten times the rate.
  expect(stages).toMatchObject([
    { stage: 'first', usage: { ...usage, cost: expect.closeTo(0.002, 9) } },
    { stage: 'answer', usage: { inputTokens: 3_000, outputTokens: 300, cost: expect.closeTo(2 * 0.004 + 0.2, 9) } },
  ]);
  expect(usageOfRows(stages)).toEqual({ inputTokens: 4_000, outputTokens: 400, cost: expect.closeTo(0.21, 9) });
});

it('is told without a budget where the pool has a price, and not at all without one', async () => {
  const { usage } = await run(costly(), { input: 1, output: 1 });
  expect(usage).toMatchObject({ inputTokens: 800, cost: expect.closeTo(0.00088, 9) });
  expect((await run(costly())).usage).toEqual({ inputTokens: 800, outputTokens: 80 });
});
