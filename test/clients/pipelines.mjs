// What the clients ask: a model whose tools the client executes, and an agent that executes its own.
import { agent, chatInput, converse, pipeline, tool } from 'millrace';
import { z } from 'zod';

export const full = pipeline('full', { input: chatInput, deadline: '2m' }, ({ input, stage }) => {
  const answer = stage('answer', converse({ model: 'scripted', maxTokens: 1024 }), input, { execution: 'inline' });
  return { text: answer.text, finish: answer.finish, toolCalls: answer.toolCalls };
});

/** As in the catalogue, with the scripted model. */
export const chat = pipeline('chat', { input: chatInput, deadline: '2m' }, ({ input, stage }) => {
  const answer = stage('answer', converse({ model: 'scripted', maxTokens: 1024 }), input, { execution: 'inline' });
  return { text: answer.text, finish: answer.finish, toolCalls: answer.toolCalls };
});

const weather = tool({
  name: 'weather',
  version: '1',
  description: 'The weather of a city',
  input: z.object({ city: z.string() }),
  run: ({ city }) => `${city} 21`,
});
const pay = tool({
  name: 'pay',
  version: '1',
  description: 'Pays an invoice',
  input: z.object({ invoice: z.string() }),
  approval: { timeout: '2m', otherwise: false },
  run: ({ invoice }) => `paid ${invoice}`,
});
export const desk = pipeline(
  'desk',
  {
    input: z.object({ message: z.string() }),
    openai: { chat: { input: 'message', output: 'text', ignore: ['temperature'] } },
    deadline: '5m',
  },
  ({ input, stage }) => {
    const use = agent({ model: 'scripted', instructions: 'You help.', tools: [weather, pay], maxTurns: 4 });
    const answer = stage('answer', use, { prompt: input.message });
    return { text: answer.text, toolCalls: answer.toolCalls };
  },
);
