import { z } from 'zod';
import { invalidParam } from './error-body.js';
import { listOf } from './list-of.js';

const MOST_TOOLS = 128;
const word = z.enum(['auto', 'none', 'required']);
const mode = z.enum(['auto', 'required']);
const named = z.object({ name: z.string() });
const flat = z.object({ type: z.enum(['function', 'custom']), name: z.string() });
const nested = z.discriminatedUnion('type', [
  z.object({ type: z.literal('function'), function: named }),
  z.object({ type: z.literal('custom'), custom: named }),
]);

/** `tool_choice` of chat completions: a word, a tool, or the tools that are allowed in this request. */
export const chatToolChoice = z.union([
  word,
  nested,
  z.object({
    type: z.literal('allowed_tools'),
    allowed_tools: z.object({ mode, tools: listOf(nested, { min: 1, max: MOST_TOOLS }) }),
  }),
]);

/** `tool_choice` of responses: the same without nesting. */
export const responsesToolChoice = z.union([
  word,
  flat,
  z.object({ type: z.literal('allowed_tools'), mode, tools: listOf(flat, { min: 1, max: MOST_TOOLS }) }),
]);

type Given = z.output<typeof chatToolChoice> | z.output<typeof responsesToolChoice> | null | undefined;
type Named = z.output<typeof flat> | z.output<typeof nested>;

function nameOf(tool: Named): string {
  if ('function' in tool) return tool.function.name;
  return 'custom' in tool ? tool.custom.name : tool.name;
}

/**
 * The tools that are offered and the choice among them, in the form of a chat stage. `allowed_tools` offers only the
 * allowed ones, under its mode. Throws `INVALID_INPUT` for an allowed tool that the request does not have.
 */
export function chosen<Tool extends { readonly name: string }>(tools: readonly Tool[] | undefined, given: Given) {
  if (typeof given !== 'object' || given === null) return { tools, choice: given };
  if (given.type !== 'allowed_tools') return { tools, choice: { name: nameOf(given) } };
  const allowed = 'allowed_tools' in given ? given.allowed_tools : given;
  const names = new Set(allowed.tools.map(nameOf));
  for (const name of names) {
    if (!tools?.some((tool) => tool.name === name))
      throw invalidParam('tool_choice', `allows "${name}", which is not among the request’s tools`);
  }
  return { tools: tools?.filter(({ name }) => names.has(name)), choice: allowed.mode };
}
