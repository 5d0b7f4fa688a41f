import type { z } from 'zod';
import type { ChatMessage } from '../../pipelines/stages/index.js';
import { ModestJson } from '../input/json-size.js';
import { argumentsOf, audioUrl } from './chat-request.js';
import type { Turn } from './conversation.js';
import { argumentsOfInput } from './custom-tools.js';
import type { Item, message, part, reasoning } from './responses-items.js';
import { contentOf, detailOf, type SentPart } from './sent-parts.js';

/** The text of a reasoning item; empty for one whose content only its server can read. */
const thoughtIn = ({ content }: z.output<typeof reasoning>): string =>
  (content ?? []).map(({ text }) => text).join('\n\n');

/**
 * Consecutive calls and the message before them are one turn of the assistant, with the reasoning before it.
 * @param paramOf the place in the request of the i-th item
 */
export function turnsOf(items: readonly Item[], paramOf: (i: number) => string): Turn[] {
  const turns: Turn[] = [];
  const json = new ModestJson();
  /** Calls of the last turn that were added here. */
  let callsOfLast: NonNullable<ChatMessage['toolCalls']>[number][] | undefined;
  /** Joined once: a request may have thousands of reasoning items in a row. */
  let thoughts: string[] = [];
  /** The reasoning before a message of the assistant. That of a turn without one has no place. */
  const taken = (): Pick<ChatMessage, 'reasoning'> => {
    if (thoughts.length === 0) return {};
    const reasoning = thoughts.join('\n\n');
    thoughts = [];
    return { reasoning };
  };
  for (const [i, each] of items.entries()) {
    const param = paramOf(i);
    if (each.type === 'reasoning') {
      const thought = thoughtIn(each);
      if (thought !== '') thoughts.push(thought);
      continue;
    }
    if (each.type === 'function_call' || each.type === 'mcp_call' || each.type === 'custom_tool_call') {
      const id = each.type === 'mcp_call' ? each.id : each.call_id;
      const given =
        each.type === 'custom_tool_call'
          ? argumentsOfInput(each.input)
          : argumentsOf(each.arguments, `${param}.arguments`, json);
      const call = { id, name: each.name, arguments: given };
      const last = turns.at(-1);
      if (last?.message.role === 'assistant' && each.type !== 'mcp_call' && thoughts.length === 0) {
        // Copied once for each turn: a request may have thousands of calls in a row.
        if (callsOfLast === undefined) {
          const { message: said } = last;
          callsOfLast = [...(said.toolCalls ?? [])];
          turns[turns.length - 1] = { ...last, message: { ...said, toolCalls: callsOfLast } };
        }
        callsOfLast.push(call);
      } else {
        callsOfLast = undefined;
        turns.push({ param, message: { role: 'assistant', content: '', toolCalls: [call], ...taken() } });
      }
      if (each.type === 'mcp_call') {
        const content = each.output ?? `Error ${each.error ?? ''}`;
        turns.push({ param, message: { role: 'tool', content, toolCallId: id } });
      }
    } else if (each.type === 'function_call_output' || each.type === 'custom_tool_call_output') {
      callsOfLast = undefined;
      taken();
      turns.push({ param, message: { role: 'tool', ...saidIn(each.output, param), toolCallId: each.call_id } });
    } else {
      callsOfLast = undefined;
      const turn = messageTurn(each, param);
      const before = taken();
      turns.push(each.role === 'assistant' ? { ...turn, message: { ...turn.message, ...before } } : turn);
    }
  }
  return turns;
}

function messageTurn({ role, content }: z.output<typeof message>, param: string): Turn {
  return { param, message: { role: role === 'developer' ? 'system' : role, ...saidIn(content, param) } };
}

const saidIn = (content: string | readonly z.output<typeof part>[], param: string) =>
  typeof content === 'string' ? { content } : contentOf(content.map(sentPart), param);

function sentPart(sent: z.output<typeof part>): SentPart {
  switch (sent.type) {
    case 'input_image':
      return { type: 'image', url: sent.image_url, ...detailOf(sent.detail) };
    case 'input_file':
      return { type: 'file', url: sent.file_data ?? sent.file_url ?? '', name: sent.filename ?? undefined };
    case 'input_audio':
      return { type: 'audio', url: audioUrl(sent.input_audio) };
    case 'refusal':
      return { type: 'text', text: sent.refusal };
    default:
      return { type: 'text', text: sent.text };
  }
}
