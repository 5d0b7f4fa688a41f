import type { DescriptionInput } from '../api.js';
import { optional } from './preset.js';

type Rules = NonNullable<DescriptionInput['errors']>;

/**
 * Streamed chat completions of OpenAI's API behind a cloud's own address; `request` says where, `errors` has the cloud's
 * own rules.
 */
export const chatCompletions = (
  errors: Rules,
  request: NonNullable<DescriptionInput['request']>,
  framing?: 'aws-event-stream',
): DescriptionInput => ({
  request: {
    ...request,
    json: {
      messages: '$/messages',
      max_tokens: optional('/given/maxTokens'),
      temperature: optional('/given/temperature'),
      top_p: optional('/given/topP'),
      seed: optional('/given/seed'),
      stop: optional('/given/stop'),
      stream: true,
      ...(typeof request.json === 'object' && request.json),
    },
  },
  // A failure in the middle of an answer is an event; vLLM sends [DONE] after it.
  errors: [...errors, { status: '2xx', when: { at: '/body/error', exists: true }, code: 'BACKEND_ERROR' }],
  response: {
    stream: {
      as: 'sse',
      ...(framing && { framing }),
      delta: ['/body/choices/0/delta/content', '/body/choices/0/message/content'],
      end: { at: '/body/choices/0/finish_reason', exists: true },
    },
    output: {
      text: '$/text',
      finish: { $case: '/body/choices/0/finish_reason', of: { length: 'length' }, default: 'stop' },
    },
  },
});
