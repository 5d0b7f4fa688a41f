import { z } from 'zod';
import { agent, pipeline, tool } from '../../pipelines/index.js';
import { distractors } from './distractors.js';

const weather = tool({
  name: 'get_weather',
  description: 'The weather in a city right now',
  input: z.object({ city: z.string().describe('Name of the city') }),
  run: ({ city }) => ({ city, celsius: 21, sky: 'clear' }),
});
const calculate = tool({
  name: 'calculate',
  description: 'The value of an arithmetic expression',
  input: z.object({ expression: z.string().describe('For example 12 * 7') }),
  run: ({ expression }) => ({ value: computed(expression) }),
});
const timer = tool({
  name: 'set_timer',
  description: 'Starts a timer that rings after some minutes',
  input: z.object({ minutes: z.int().min(1) }),
  run: ({ minutes }) => ({ ringsInMinutes: minutes }),
});

/** One operator between two numbers is all that the questions need. */
function computed(expression: string): number {
  const [, left, operator, right] = /^\s*(-?[\d.]+)\s*([-+*/x])\s*(-?[\d.]+)\s*$/.exec(expression) ?? [];
  const [a, b] = [Number(left), Number(right)];
  if (operator === '+') return a + b;
  if (operator === '-') return a - b;
  if (operator === '/') return a / b;
  if (operator !== undefined) return a * b;
  throw Object.assign(new Error(`cannot compute "${expression}"`), { code: 'INVALID_INPUT' });
}

/**
 * A model call on a machine without a GPU takes seconds, and minutes where others use its processors too: with the default of 60 s for
 * an attempt, each would be cut off and begun anew, and no question would ever be answered.
 */
export const PATIENT = { timeout: { attempt: '20m', total: '1h' } } as const;
export const DEADLINE = '2h';

/** The same questions over 300 tools, of which the model sees those that fit. */
export const manyTools = pipeline(
  'many-tools',
  { input: z.object({ question: z.string() }), deadline: DEADLINE },
  ({ input, stage }) => {
    const use = agent({
      model: 'assistant',
      instructions: 'Answer with the help of the tools.',
      tools: [
        ...distractors.slice(0, 100),
        weather,
        ...distractors.slice(100, 200),
        calculate,
        ...distractors.slice(200),
        timer,
      ],
      toolSearch: { embedder: 'minilm', shown: 4 },
      maxTurns: 2,
      maxTokens: 64,
    });
    const answer = stage('answer', use, { prompt: input.question }, PATIENT);
    return { text: answer.text, toolCalls: answer.toolCalls };
  },
);

/** A question over three tools. Two model calls: one that chooses, and one that answers. */
export const threeTools = pipeline(
  'three-tools',
  { input: z.object({ question: z.string() }), deadline: DEADLINE },
  ({ input, stage }) => {
    const use = agent({
      model: 'assistant',
      instructions: 'Answer with the help of the tools.',
      tools: [weather, calculate, timer],
      maxTurns: 2,
      maxTokens: 64,
    });
    const answer = stage('answer', use, { prompt: input.question }, PATIENT);
    return { text: answer.text, toolCalls: answer.toolCalls };
  },
);
