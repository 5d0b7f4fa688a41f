import { z } from 'zod';
import { invalid } from '../definition/invalid.js';
import { type PolicyOptions, resolvePolicy } from '../definition/policy.js';
import { type Duration, durationMs } from '../duration.js';
import type { ToolPlan } from '../plan/agent.js';
import { codeMap, versionOf } from '../stages/code.js';
import { jsonSchemaOf } from '../stages/json-schema.js';
import type { CodeContext, CodeStage, CodeVersion, NamedCode } from '../stages/kind.js';

/** A tool of an agent: what `tool`, `stageTool`, `pipelineTool` and `httpTool` make. */
export interface Tool {
  readonly plan: ToolPlan;
  /** Functions that the worker keeps for it, by what they are called. */
  readonly functions: ReadonlyMap<string, NamedCode>;
}

/** How a tool's calls are made; what every tool takes. */
export interface ToolPolicy extends Pick<PolicyOptions, 'retry' | 'timeout' | 'priority'> {
  /**
   * A person decides before each call, as with `approve`: on this call with these arguments, and no other. When nobody does
   * within `timeout`, `otherwise` decides; default `false`.
   */
  readonly approval?: { readonly timeout: Duration; readonly otherwise?: boolean };
  /** What a call does that has failed for good: `tell` the model its code and message (default), or `fail` the agent. */
  readonly onFailure?: 'tell' | 'fail';
}

export interface ToolOptions<Input extends z.ZodObject> extends ToolPolicy, CodeVersion {
  /** What the model calls it: letters, digits, `_` and `-`, 64 at most. */
  readonly name: string;
  /** What it does and when to call it: the model reads nothing else. */
  readonly description: string;
  /** The arguments; their descriptions reach the model. */
  readonly input: Input;
}

/** What all tools take besides their own. */
export const TOOL_KEYS = ['name', 'description', 'retry', 'timeout', 'priority', 'approval', 'onFailure'];

/**
 * Three attempts with the general waits: a person or a voice waits for the agent, and the model can be told of a failure.
 * Half a minute is long for a function and short for a stuck one.
 */
export const TOOL_DEFAULTS: PolicyOptions = { retry: { attempts: 3 }, timeout: { attempt: '30s', total: '2m' } };

/**
 * Your own TypeScript as a tool. The function lives in the worker; the plan holds its name and its version, which together
 * must be unique among the functions of the worker. It may run again after a crash: `idempotencyKey` is the same in every attempt of a call, so that
 * what it calls can drop the repeat. What it returns reaches the model as JSON, a text as it is.
 *
 * ```ts
 * const weather = tool({
 *   name: 'get_weather',
 *   description: 'The weather in a city now',
 *   input: z.object({ city: z.string() }),
 *   run: ({ city }) => ({ city, celsius: 21 }),
 * });
 * ```
 */
export function tool<Input extends z.ZodObject, Output>(
  options: ToolOptions<Input> & {
    /** Checks what the function gives. Default: any JSON. */
    readonly output: z.ZodType<Output>;
    readonly run: (input: z.output<Input>, context: CodeContext) => NoInfer<Output> | Promise<NoInfer<Output>>;
  },
): Tool;
export function tool<Input extends z.ZodObject>(
  options: ToolOptions<Input> & { readonly run: (input: z.output<Input>, context: CodeContext) => unknown },
): Tool;
export function tool(
  options: ToolOptions<z.ZodObject> & {
    readonly output?: z.ZodType;
    readonly run: (input: never, context: CodeContext) => unknown;
  },
): Tool {
  const { name, input, output = z.json(), run } = options;
  checkKeys(options, ['input', 'output', 'run', 'version', 'compatible']);
  if (!(input instanceof z.ZodObject)) throw invalid(`${name}.input`, 'must be a z.object({ … }) of the arguments');
  if (typeof run !== 'function') throw invalid(`${name}.run`, 'must be a function of the arguments');
  const versioned = versionOf(name, options);
  const stage: NamedCode = {
    name,
    ...versioned,
    input,
    output: z.object({ result: output }),
    run: wrapped(run as CodeStage['run']),
  };
  const plan: ToolPlan = {
    ...offered(options, jsonSchemaOf(input, `${name}.input`)),
    by: 'stage',
    kind: 'code',
    model: name,
    with: {},
    ...(versioned.version !== undefined && { codeVersion: versioned.version }),
    result: 'result',
  };
  return { plan, functions: codeMap([stage]) };
}

/** A function is known by what it is: two tools of the same one, under different policies, are no clash of names. */
const known = new WeakMap<CodeStage['run'], CodeStage['run']>();

function wrapped(run: CodeStage['run']): CodeStage['run'] {
  const before = known.get(run);
  if (before) return before;
  const wrapper: CodeStage['run'] = async (given, context) => ({ result: (await run(given, context)) ?? null });
  known.set(run, wrapper);
  return wrapper;
}

/** What every tool's plan has. */
export function offered(
  options: ToolPolicy & { readonly name: string; readonly description: string },
  schema: ToolPlan['schema'],
  usual: PolicyOptions = {},
): Omit<ToolPlan, 'by' | 'plan' | keyof StageToolOnly> {
  const { name, description, retry, timeout, priority, approval, onFailure = 'tell' } = options;
  if (typeof description !== 'string' || description.trim() === '') {
    throw invalid(`${name}.description`, 'is missing: the model reads nothing else of a tool');
  }
  if (onFailure !== 'tell' && onFailure !== 'fail') {
    throw invalid(`${name}.onFailure`, `must be "tell" or "fail", not "${String(onFailure)}"`);
  }
  const given = { ...(retry && { retry }), ...(timeout && { timeout }), ...(priority && { priority }) };
  return {
    name,
    description,
    schema,
    policy: resolvePolicy(given, { ...TOOL_DEFAULTS, ...usual }, name),
    ...(approval && {
      approval: {
        timeoutMs: durationMs(approval.timeout, `${name}.approval.timeout`),
        otherwise: approval.otherwise ?? false,
      },
    }),
    onFailure,
  };
}

type StageToolOnly = { kind: 0; model: 0; with: 0; places: 0; result: 0 };

/** What a JavaScript author misspells would be lost in silence. */
export function checkKeys(options: object & { readonly name?: unknown }, own: readonly string[]): void {
  const known = [...TOOL_KEYS, ...own];
  if (typeof options !== 'object' || options === null) throw invalid('tool', `needs the options ${known.join(', ')}`);
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw invalid(`${String(options.name)}.${unknown}`, `is not an option; there are ${known.join(', ')}`);
}
