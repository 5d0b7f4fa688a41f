import { z } from 'zod';
import { chatModel, supportAgent } from '../../pipelines/catalog/index.js';
import { ingest } from '../../pipelines/catalog/rag-answer.js';
import { agent, chatInput, converse, pipeline, pipelineTool, tool } from '../../pipelines/index.js';

/** Pipelines whose agents pay by themselves, for the worker too. */

export { chatModel, ingest, supportAgent };

const refund = tool({
  name: 'refund',
  description: 'Pays back',
  input: z.object({ order: z.string(), reason: z.string() }),
  run: ({ order }) => ({ order, status: 'refunded' }),
});
const refunds = agent({ model: 'assistant', tools: [refund] });

/** An agent that lets its caller name tools, and executes its own all the same. */
export const desk = pipeline(
  'desk',
  {
    input: z.object({ message: z.string() }),
    openai: { chat: { input: 'message', output: 'reply', ignore: ['tools', 'tool_choice'] } },
  },
  ({ input, stage }) => {
    const answer = stage('answer', refunds, { prompt: input.message });
    return { reply: answer.text, toolCalls: answer.toolCalls };
  },
);

/** Pays by itself, and asks the caller to look something up. */
export const both = pipeline('both', { input: chatInput }, ({ input, stage }) => {
  const requested = stage('ask', converse({ model: 'assistant' }), input);
  const done = stage('pay', refunds, { prompt: 'Pay order 4711 back.' });
  return { text: requested.text, toolCalls: requested.toolCalls, executed: done.toolCalls };
});

/** Has the desk pay, in a run of its own. */
export const clerk = pipeline(
  'clerk',
  { input: z.object({ message: z.string() }), openai: { chat: { input: 'message', output: 'reply' } } },
  ({ input, stage }) => {
    const hands = agent({ model: 'assistant', tools: [pipelineTool(desk, { description: 'Pays back' })] });
    const answer = stage('ask', hands, { prompt: input.message });
    return { reply: answer.text, toolCalls: answer.toolCalls };
  },
);

/** Hands over to an agent that pays. */
export const reception = pipeline(
  'reception',
  { input: z.object({ message: z.string() }), openai: { chat: { input: 'message', output: 'reply' } } },
  ({ input, stage }) => {
    const payer = { name: 'payer', description: 'Refunds', tools: [refund] };
    const answer = stage('greet', agent({ model: 'assistant', handoffs: [payer] }), { prompt: input.message });
    return { reply: answer.text, by: answer.agent, toolCalls: answer.toolCalls };
  },
);
