import { expect, it } from 'vitest';
import { z } from 'zod';
import { agent, type Pipeline, pipeline, tool } from '../../../pipelines/index.js';
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

it('is told without a budget where the pool has a price, and not at all without one', async () => {
  const { usage } = await run(costly(), { input: 1, output: 1 });
  expect(usage).toMatchObject({ inputTokens: 800, cost: expect.closeTo(0.00088, 9) });
  expect((await run(costly())).usage).toEqual({ inputTokens: 800, outputTokens: 80 });
});
