import { z } from 'zod';
import type { StageKind, StageUse } from './kind.js';

const input = z.object({ prompt: z.string() });
const output = z.object({
  text: z.string(),
});

export type ChatInput = z.output<typeof input>;
export type ChatOutput = z.output<typeof output>;

export interface ChatOptions {
  readonly model: string;
  /** System message. */
  readonly system?: string;
  /** Most tokens of the reply. Default 256: about a minute of speech. */
  readonly maxTokens?: number;
  /** Sampling temperature. Default 0: the same question gets the same answer, which a cache assumes. */
  readonly temperature?: number;
}

/**
 * One turn of an LLM: a prompt to a reply.
 *
 * ```ts
 * const answer = stage('answer', chat({ model: 'assistant', system: 'Answer in one sentence.' }), { prompt: heard.text });
 * answer.text;
 * ```
 */
export const chat = ({
  model,
  system,
  maxTokens = 256,
  temperature = 0,
}: ChatOptions): StageUse<ChatInput, ChatOutput> => ({
  kind: 'chat',
  model,
  with: { ...(system !== undefined && { system }), maxTokens, temperature },
  input,
  output,
});

export const chatKind: StageKind = { input, output };
