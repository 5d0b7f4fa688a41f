import { z } from 'zod';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const input = z.object({
  /** The message to the agent. */
  message: z.string().optional(),
  /** The same as data, for agents that take data. */
  data: z.looseObject({}).optional(),
  /** The agent's task that waits for this message: `task` of an earlier output. */
  task: z.string().optional(),
  /** The conversation that the message belongs to: `context` of an earlier output. */
  context: z.string().optional(),
});
const state = z.enum(['completed', 'input-required']);
const outputOf = (data: z.ZodType) =>
  z.object({ state, text: z.string(), data, task: z.string(), context: z.string() });

/** Input of `a2aAgent`: a message, data, or both. */
export interface A2aInput {
  message?: string | undefined;
  data?: Record<string, unknown> | undefined;
  task?: string | undefined;
  context?: string | undefined;
}

/** Output of `a2aAgent`: the agent’s answer, or its question. */
export interface A2aOutput<Data> {
  /** `input-required`: `text` and `data` are the agent's question; a message with `task` and `context` answers it. */
  state: 'completed' | 'input-required';
  /** The texts of the agent's artifacts, or its question. */
  text: string;
  /** The data of the agent's artifacts, or of its question: null if there are none, a list if there are several. */
  data: Data;
  /** Empty if the agent has answered without a task. */
  task: string;
  context: string;
}

/**
 * Sends a message to a remote agent over A2A and waits for its task to end. The task's id is kept: a repeated attempt continues with the
 * same task, and a cancelled run cancels it. All attempts send the same `messageId`.
 *
 * ```ts
 * const trip = stage('book', a2aAgent({ agent: 'travel' }), { message: input.wish });
 * trip.text;
 * ```
 */
export const a2aAgent = <Data = unknown>(options: {
  /** Name of the pool. */
  agent: string;
  /** Schema of the output's `data`. Default: any JSON. */
  data?: z.ZodType<Data>;
}): StageUse<A2aInput, A2aOutput<Data>> => ({
  kind: 'a2a',
  model: options.agent,
  with: {},
  input: input as unknown as z.ZodType<A2aInput>,
  output: outputOf(options.data ?? z.json()) as unknown as z.ZodType<A2aOutput<Data>>,
});

export const a2aKind: StageKind = {
  input,
  output: outputOf(z.json()),
  ...TRAITS.a2a,
  // An attempt that ends early would cancel the task that the next one goes on with.
  policy: { timeout: { attempt: '2h', total: '2h' } },
};
