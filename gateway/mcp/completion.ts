import { type CompleteRequestParams, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { promptOf } from './prompts.js';
import { templateOf } from './resources.js';
import type { Serving } from './serving.js';

/** Whether a prompt of the gateway has suggestions: others declare no capability for them. */
export const hasSuggestions = ({ tools }: Serving): boolean =>
  [...tools.values()].some(({ pipeline: { mcp } }) =>
    mcp?.prompts.some(({ arguments: given = {} }) =>
      Object.values(given).some(({ suggestions = [] }) => suggestions.length > 0),
    ),
  );

/**
 * `completion/complete`: the suggestions for an argument of a prompt that have what the person has typed, in any case of letters; those that begin
 * with it come first. Throws the protocol's error for an unknown prompt, argument or template.
 */
export function completionOf(serving: Serving, { ref, argument: { name, value } }: CompleteRequestParams) {
  const typed = value.toLowerCase();
  const at = (each: string) => each.toLowerCase().indexOf(typed);
  const found = suggestionsFor(serving, ref, name).filter((each) => at(each) >= 0);
  const values = [...found.filter((each) => at(each) === 0), ...found.filter((each) => at(each) > 0)];
  return { completion: { values, total: values.length, hasMore: false } };
}

function suggestionsFor(serving: Serving, ref: CompleteRequestParams['ref'], name: string): readonly string[] {
  if (ref.type === 'ref/resource') {
    if (ref.uri !== templateOf(serving.caller)) throw unknown(`no template is ${ref.uri}`);
    // Nobody types the hash of an artifact.
    return [];
  }
  const { arguments: given = {} } = promptOf(serving, ref.name).prompt;
  if (!Object.hasOwn(given, name)) throw unknown(`the prompt "${ref.name}" has no argument "${name}"`);
  return given[name]?.suggestions ?? [];
}

const unknown = (message: string) => new ProtocolError(ProtocolErrorCode.InvalidParams, message);
