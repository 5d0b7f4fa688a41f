import { z } from 'zod';
import { agent, pipeline, retrieve, stageTool, tool } from '../index.js';

/** The index that `ingest` fills. */
const INDEX = 'docs';

const search = stageTool({
  name: 'search',
  description: 'Passages of the support handbook that are about a question',
  use: retrieve({ index: INDEX, k: 3 }),
  result: 'passages',
});

/**
 * Placeholder for a call of your payment service: pass it the idempotency key, so that a call repeated after a crash
 * pays once.
 */
const refund = tool({
  name: 'refund',
  version: '1',
  description: 'Pays an order back. Call it only when the customer asks for the money of a known order.',
  input: z.object({
    order: z.string().describe('Number of the order'),
    reason: z.string().describe('Why, in a few words'),
  }),
  // A person decides on every refund; a timeout rejects it.
  approval: { timeout: '1h', otherwise: false },
  run: ({ order }, { idempotencyKey }) => ({ order, status: 'refunded', reference: idempotencyKey }),
});

/** Answers a customer's message from the handbook; a refund needs a person's approval. */
export const supportAgent = pipeline(
  'support-agent',
  {
    description: 'A customer’s message, answered from your passages, with a refund that a person approves',
    input: z.object({ message: z.string().min(1) }),
    deadline: '2h',
  },
  ({ input, stage }) => {
    const answer = stage(
      'answer',
      agent({
        model: 'assistant',
        instructions:
          'You answer customers of a shop, in one or two sentences. Search the handbook before you state a rule. ' +
          'Refund an order only when the customer asks for it and names the order.',
        tools: [search, refund],
        maxTurns: 4,
        maxTokens: 96,
      }),
      { prompt: input.message },
    );
    return { reply: answer.text, toolCalls: answer.toolCalls };
  },
);
