import { z } from 'zod';
import { invalid, unknownOption } from '../definition/invalid.js';
import { checkJsonValues } from '../definition/json-values.js';
import { type PolicyOptions, resolvePolicy } from '../definition/policy.js';
import { type Duration, durationMs } from '../duration.js';
import type { GuardPlan, ToolPlan } from '../plan/agent.js';
import { codeMap, versionOf } from '../stages/code.js';
import { jsonSchemaOf } from '../stages/json-schema.js';
import type { CodeContext, CodeStage, CodeVersion, DefinedKind, NamedCode } from '../stages/kind.js';

/** A tool of an agent, as returned by `tool`, `stageTool`, `pipelineTool`, `httpTool`, `openapiTool` and `codeTool`. */
export interface Tool {
  readonly plan: ToolPlan;
  /** Functions that the worker keeps for it, by versioned name. */
  readonly functions: ReadonlyMap<string, NamedCode>;
  /** Kinds made with `defineKind` that its calls use. */
  readonly definitions?: readonly DefinedKind[];
}

/** A check of what an agent reads, writes or does, as returned by `guardrail`. */
export interface Guardrail {
  readonly guard: GuardPlan;
  readonly check: Tool;
}

/** How a tool's calls are made; common to all tools. */
export interface ToolPolicy extends Pick<PolicyOptions, 'retry' | 'timeout' | 'priority'> {
  /**
   * A person approves each call, as with `approve`. The decision covers that call with its arguments only. Without one
   * within `timeout`, `otherwise` applies; default `false`.
   */
  readonly approval?: { readonly timeout: Duration; readonly otherwise?: boolean };
  /** After a call failed for good: `tell` gives its code and message to the model (default), `fail` fails the agent. */
  readonly onFailure?: 'tell' | 'fail';
}

/** Options of `tool`. */
export interface ToolOptions<Input extends z.ZodObject> extends ToolPolicy, CodeVersion {
  /** Name shown to the model: letters, digits, `_` and `-`, 64 at most. */
  readonly name: string;
  /** What the tool does and when to call it; the model sees no other documentation. */
  readonly description: string;
  /** Schema of the arguments; its descriptions are shown to the model. */
  readonly input: Input;
}

/** Options common to all tools. */
export const TOOL_KEYS = ['name', 'description', 'retry', 'timeout', 'priority', 'approval', 'onFailure'];

/**
 * Three attempts with the general waits: a caller is waiting for the agent, and the model can be given the failure. The
 * attempt timeout is long for a function that works and short for one that hangs.
 */
export const TOOL_DEFAULTS: PolicyOptions = { retry: { attempts: 3 }, timeout: { attempt: '30s', total: '2m' } };

/**
 * Your own TypeScript as a tool. The function stays in the worker; the plan holds its name and version, which together
 * must be unique among the functions of its pipeline. It may run again after a crash: `idempotencyKey` is the same in every
 * attempt of a call, so that services can drop repeats. The model gets the result as JSON, or a text unchanged.
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
    /** Validates the function's result. Default: any JSON. */
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
  checkJsonValues(output, `${name}.output`, 'output');
  const versioned = versionOf(name, options);
  const stage: NamedCode = {
    name,
    ofTool: true,
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

/** Wrappers by function: two tools of the same function under different policies must not clash by name. */
const known = new WeakMap<CodeStage['run'], CodeStage['run']>();

function wrapped(run: CodeStage['run']): CodeStage['run'] {
  const before = known.get(run);
  if (before) return before;
  const wrapper: CodeStage['run'] = async (given, context) => ({ result: (await run(given, context)) ?? null });
  known.set(run, wrapper);
  return wrapper;
}

/** Fields common to all tool plans. */
export function offered(
  options: ToolPolicy & { readonly name: string; readonly description: string },
  schema: ToolPlan['schema'],
  usual: PolicyOptions = {},
): Omit<ToolPlan, 'by' | 'plan' | keyof StageToolOnly> {
  const { name, description, retry, timeout, priority, approval, onFailure = 'tell' } = options;
  if (typeof description !== 'string' || description.trim() === '') {
    throw invalid(`${name}.description`, 'is missing: the model chooses tools by their description');
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

/** Rejects misspelled keys, which would otherwise be ignored silently. */
export function checkKeys(options: object & { readonly name?: unknown }, own: readonly string[]): void {
  const known = [...TOOL_KEYS, ...own];
  if (typeof options !== 'object' || options === null) throw invalid('tool', `needs the options ${known.join(', ')}`);
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw unknownOption(String(options.name), unknown, known);
}
