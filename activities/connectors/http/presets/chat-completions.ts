import { BROKEN_OFF, CUT, FILTERED, UNREADABLE_CALL } from '../../finish-reasons.js';
import type { DescriptionInput } from '../api.js';
import { optional } from './preset.js';

type Rules = NonNullable<DescriptionInput['errors']>;

/** Why a reply has ended, in an answer and in the event that ends a stream. */
export const FINISH_REASON = '/body/choices/0/finish_reason';

/** Failures inside an answer, or a stream, of a successful status. vLLM sends [DONE] after an error. */
export const chatErrors: Rules = [
  { status: '2xx', when: { at: '/body/error', exists: true }, code: 'BACKEND_ERROR' },
  { status: '2xx', when: { at: FINISH_REASON, is: [...BROKEN_OFF] }, code: 'BACKEND_UNAVAILABLE' },
  { status: '2xx', when: { at: FINISH_REASON, has: [...FILTERED] }, code: 'BACKEND_REJECTED' },
  { status: '2xx', when: { at: FINISH_REASON, has: [...UNREADABLE_CALL] }, code: 'INVALID_OUTPUT' },
];

/** The stage's `finish`. */
export const chatFinish = {
  $case: FINISH_REASON,
  of: Object.fromEntries(CUT.map((reason) => [reason, 'length'])),
  default: 'stop',
};

/** Token counts of a completion. */
export const chatUsage = { inputTokens: '/body/usage/prompt_tokens', outputTokens: '/body/usage/completion_tokens' };

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
      stream_options: { include_usage: true },
      ...(typeof request.json === 'object' && request.json),
    },
  },
  errors: [...errors, ...chatErrors],
  response: {
    stream: {
      as: 'sse',
      ...(framing && { framing }),
      delta: ['/body/choices/0/delta/content', '/body/choices/0/message/content'],
      end: { at: FINISH_REASON, exists: true },
      // Behind the reply, in an event without a choice.
      usage: { at: '/body/usage', exists: true },
    },
    output: { text: '$/text', finish: chatFinish },
    usage: chatUsage,
  },
});
