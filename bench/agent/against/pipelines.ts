import { z } from 'zod';
import { agent, pipeline, tool } from '../../../pipelines/index.js';
import { INSTRUCTIONS, TOOL } from './turn.js';

const weather = tool({
  name: TOOL,
  description: 'The weather in a city right now',
  input: z.object({ city: z.string() }),
  run: ({ city }) => `${city}: 21 degrees, clear`,
});

/** One tool call, then an answer. */
export const weatherDesk = pipeline(
  'weather-desk',
  { input: z.object({ message: z.string() }), deadline: '1m' },
  ({ input, stage }) => {
    const use = agent({ model: 'assistant', instructions: INSTRUCTIONS, tools: [weather] });
    return { reply: stage('answer', use, { prompt: input.message }).text };
  },
);
