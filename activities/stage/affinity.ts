import { canonicalJson, type Json, type JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import type { StageCall } from '../../pipelines/run/index.js';

type Asked = Pick<StageCall, 'kind' | 'with'>;

/**
 * Key of the common prefix of a conversation's prompts: the system message, the tools and the first turn. A server that
 * has computed it caches it for the next call. Undefined for a prompt without a shared prefix.
 */
export function affinityOf({ kind, with: options }: Asked, { history, ...given }: JsonObject): string | undefined {
  if (kind !== 'chat') return undefined;
  const { system = null } = options;
  const tools = given.tools ?? options.tools ?? null;
  const first = (Array.isArray(history) ? history[0] : undefined) ?? null;
  if (system === null && tools === null && first === null) return undefined;
  return jsonHash({ system, tools, first });
}

/**
 * A chat's prompt as one text, in the order in which chat templates write it: tools, system message, earlier turns, the
 * new one. A conversation's next prompt begins with the one before, as it does at the server.
 */
export function promptTextOf({ with: options }: Pick<Asked, 'with'>, input: JsonObject): string {
  const { history, prompt, images, parts, tools = options.tools } = input;
  const turns = listOf(history).map((message) => turnOf(message as JsonObject));
  if (prompt !== undefined) {
    const shown = listOf(images).map((image) => ({ type: 'image', image }));
    turns.push(turnOf({ role: 'user', content: prompt, parts: [...shown, ...listOf(parts)] }));
  }
  return [tools ?? null, options.system ?? null, ...turns].map(canonicalJson).join('\n');
}

/** What of a message is part of later prompts too: its reasoning is left out by most templates. */
function turnOf({ role = null, content = null, parts, toolCalls, toolCallId, name }: JsonObject): JsonObject {
  return {
    role,
    content,
    ...(name !== undefined && { name }),
    ...(listOf(parts).length > 0 && { parts: listOf(parts) }),
    ...(listOf(toolCalls).length > 0 && { toolCalls: listOf(toolCalls) }),
    ...(toolCallId !== undefined && { toolCallId }),
  };
}

const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);
