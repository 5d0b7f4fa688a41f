import { z } from 'zod';
import { agent, pipeline, tool } from '../../pipelines/index.js';
import { effect } from '../chaos/effect.js';
import { numberIn, TOOLS } from './turn.js';

const receiver = process.env.DOORS_RECEIVER ?? '';
const retry = { attempts: 20, backoff: { initial: '100ms', max: '1s' } } as const;

const tools = Object.entries(TOOLS).map(([name, ms]) =>
  tool({
    name,
    version: '1',
    description: `Does the step ${name} of an order`,
    input: z.object({ order: z.string() }),
    run: async ({ order }, context) => {
      await effect({ run: numberIn(order), receiver }, name, ms, context);
      return `${name} of ${order}: done`;
    },
    retry,
  }),
);

/** An agent with three tools that have side effects. Who leaves does not end it, because of these. */
export const clerk = pipeline(
  'clerk',
  { input: z.object({ message: z.string() }), deadline: '3m' },
  ({ input, stage }) => {
    const use = agent({ model: 'scripted', tools, maxTurns: 8 });
    return { text: stage('answer', use, { prompt: input.message }, { retry }).text };
  },
);
