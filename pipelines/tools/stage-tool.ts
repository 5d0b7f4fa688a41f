import type { z } from 'zod';
import { checkForeign } from '../definition/foreign-options.js';
import { invalid } from '../definition/invalid.js';
import { checkUse } from '../definition/kind-options.js';
import type { PolicyOptions } from '../definition/policy.js';
import type { StageTool } from '../plan/agent.js';
import { servedAs } from '../plan/plan.js';
import { codeMap, codeOf } from '../stages/code.js';
import { jsonSchemaOf } from '../stages/json-schema.js';
import type { StageUse } from '../stages/kind.js';
import { spokenText } from '../stages/synthesize.js';
import { traitsOf } from '../stages/traits.js';
import { checkKeys, offered, type Tool, type ToolPolicy } from './tool.js';

/** What a call of another worker does is unknown; Temporal adds no random share to its waits. */
const ONCE: PolicyOptions = { retry: { attempts: 1, backoff: { jitter: 0 } } };

/** What the model sets where the author does not say: of a voice the text, since how it sounds is the author's choice. */
const argumentsOf = ({ kind, input }: { readonly kind: string; readonly input: z.ZodType }): z.ZodType =>
  kind === 'synthesize' ? spokenText : input;

/**
 * Any stage kind as a tool: the arguments are its input, the result is its output.
 *
 * ```ts
 * const search = stageTool({
 *   name: 'search_handbook',
 *   description: 'Passages of the handbook that are about a question',
 *   use: retrieve({ index: 'handbook' }),
 * });
 * ```
 */
export function stageTool<I, O>(
  options: ToolPolicy & {
    readonly name: string;
    readonly description: string;
    readonly use: StageUse<I, O>;
    /** Schema of the arguments, if the model must not set all input fields. */
    readonly input?: z.ZodType<I>;
    /** Output field that is the result. Default: the whole output. */
    readonly result?: keyof O & string;
  },
): Tool {
  const { name, use, result } = options;
  checkKeys(options, ['use', 'input', 'result']);
  if (typeof use?.kind !== 'string') throw invalid(`${name}.use`, 'needs a stage kind with its options');
  if (traitsOf(use)?.servedBy === 'interpreter')
    throw invalid(`${name}.use`, `"${use.kind}" is not a single call; wrap it in a pipelineTool`);
  const foreign = traitsOf(use)?.servedBy === 'temporal';
  if (foreign) checkForeign(name, use.kind, options);
  checkUse(`${name}.use`, use as unknown as StageUse<never, never>);
  const plan: StageTool = {
    ...offered(options, jsonSchemaOf(options.input ?? argumentsOf(use), `${name}.input`), foreign ? ONCE : {}),
    by: 'stage',
    ...servedAs(use),
    ...(result !== undefined && { result }),
  };
  const own = codeOf(use as unknown as StageUse<never, never>);
  return { plan, functions: codeMap(own ? [own] : []), definitions: use.definitions ?? [] };
}
