import { z } from 'zod';
import type { Pipeline } from '../definition/defined.js';
import { invalid } from '../definition/invalid.js';
import { type Duration, durationMs } from '../duration.js';
import type { GuardPlan } from '../plan/agent.js';
import type { CodeContext, CodeVersion } from '../stages/kind.js';
import { type PipelineToolOptions, pipelineTool } from './pipeline-tool.js';
import { type Guardrail, type ToolPolicy, tool } from './tool.js';

const VERDICTS = ['pass', 'stop', 'redact', 'ask'] as const;

const verdict = z.object({
  verdict: z.enum(VERDICTS),
  /** Why; shown to people, and to the model for a call of a tool. */
  reason: z.string().optional(),
  /** `redact` of an input or an output: the text in its place. */
  text: z.string().optional(),
  /** `redact` of a call: the arguments in place of the model's. */
  arguments: z.record(z.string(), z.json()).optional(),
});

/**
 * A guardrail's decision: to pass, to stop the agent or the call, to change what it has checked, or to ask a person.
 */
export interface GuardrailVerdict {
  readonly verdict: (typeof VERDICTS)[number];
  /** Why; shown to people, and to the model for a call of a tool. */
  readonly reason?: string | undefined;
  /** `redact` of an input or an output: the text in its place. */
  readonly text?: string | undefined;
  /** `redact` of a call: the arguments in place of the model's. */
  readonly arguments?: Readonly<Record<string, unknown>> | undefined;
}

/** Input of a guardrail: a text, or a tool call. */
export interface GuardrailInput {
  /** `on: 'input'`: the prompt. `on: 'output'`: what the model has written in a turn. */
  readonly text?: string | undefined;
  /** `on: 'tool'`: name and arguments of the call. */
  readonly tool?: string | undefined;
  readonly arguments?: Readonly<Record<string, unknown>> | undefined;
}

/** Options of `guardrail`. */
export interface GuardrailOptions<I = never, O = never>
  extends Pick<ToolPolicy, 'retry' | 'timeout' | 'priority'>,
    CodeVersion {
  /** Lower-case letters, digits and `_`; shown in events. */
  readonly name: string;
  /**
   * `input`: checks the prompt, in parallel with the first model call. `output`: checks the model's text of each turn.
   * `tool`: checks each tool call before it is made.
   */
  readonly on: GuardPlan['on'];
  /** `on: 'tool'`: names of the tools. Default: all. */
  readonly tools?: readonly string[];
  /**
   * A function in the worker, or a pipeline, which may use models: its input has `text`, or `tool` and `arguments`, and its output is the
   * verdict.
   */
  readonly check:
    | ((input: GuardrailInput, context: CodeContext) => GuardrailVerdict | Promise<GuardrailVerdict>)
    | Pipeline<I, O>;
  /**
   * `ask`: how long to wait for a person, and the decision if nobody decides. Default `{ timeout: '1h', otherwise:
   * false }`.
   */
  readonly approval?: { readonly timeout: Duration; readonly otherwise?: boolean };
}

const NAME = /^[a-z][a-z0-9_]{0,40}$/;

const sees = z.object({
  text: z.string().optional(),
  tool: z.string().optional(),
  arguments: z.record(z.string(), z.json()).optional(),
});

/**
 * Checks what an agent reads, writes or does. A verdict passes, stops the agent or the call, changes what was checked,
 * or asks a person. A guardrail that fails stops the agent.
 *
 * ```ts
 * const noCards = guardrail({
 *   name: 'no_cards',
 *   on: 'output',
 *   check: ({ text = '' }) =>
 *     /\d{16}/.test(text) ? { verdict: 'redact', text: text.replace(/\d{16}/g, '[card]') } : { verdict: 'pass' },
 * });
 * ```
 */
export function guardrail<I = never, O = never>(options: GuardrailOptions<I, O>): Guardrail {
  const { name, on, tools, check, approval, version, compatible, ...policy } = options;
  const where = `guardrail.${String(name)}`;
  if (typeof name !== 'string' || !NAME.test(name))
    throw invalid(`${where}.name`, 'must be lower-case letters, digits and _');
  if (on !== 'input' && on !== 'output' && on !== 'tool')
    throw invalid(`${where}.on`, `must be "input", "output" or "tool", not ${JSON.stringify(on)}`);
  if (tools !== undefined && on !== 'tool') throw invalid(`${where}.tools`, 'is for on: "tool" only');
  const own = { ...policy, name: `guard_${name}` };
  const description = `Guardrail of the agent’s ${on === 'tool' ? 'calls of tools' : on}`;
  const versioned = { ...(version !== undefined && { version }), ...(compatible !== undefined && { compatible }) };
  return {
    guard: {
      name,
      on,
      tool: own.name,
      ...(tools && { only: tools }),
      ask: {
        timeoutMs: durationMs(approval?.timeout ?? '1h', `${where}.approval.timeout`),
        otherwise: approval?.otherwise ?? false,
      },
    },
    check:
      typeof check === 'function'
        ? tool({ ...own, ...versioned, description, input: sees, output: verdict, run: check as never })
        : pipelineTool(check, { ...own, description } as PipelineToolOptions),
  };
}
