import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { type Completion, complete, type Question, tokenLimit } from './completion.js';
import type { ServedKind } from './kind.js';
import { messagesOf } from './messages.js';
import { boundTo, closed, readStructured, structuredIfFits } from './structured.js';
import { checkReadCalls, checkToolCalls, readToolCalls, toolCallsInText } from './tool-calls.js';

/** Options of `chat`, as the plan holds them. */
interface ChatWith {
  readonly system?: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly stop?: readonly string[];
  readonly schema?: JsonObject;
  /** `false`: the reply is not bound to the schema; where it happens to fit, `data` is there. */
  readonly bind?: boolean;
  /** A tool call that is wrong comes back with what is wrong; absent: the reply fails with `INVALID_OUTPUT`. */
  readonly wrongCalls?: 'report';
  readonly tools?: readonly { readonly name: string; readonly description: string; readonly schema: JsonObject }[];
}

/** One turn of an LLM by `POST /v1/chat/completions`. */
export const chat: ServedKind = {
  async invoke({ model, with: options, input }, context) {
    const wanted: ChatWith = options;
    const question: Question = {
      model,
      messages: await messagesOf(wanted.system, input, context),
      ...parametersOf(wanted, context.client),
    };
    const completion = await complete(context.client, question, context);
    return { output: outputOf(completion, wanted), usage: completion.usage };
  },
  /** The shortest prompt, one token of reply; of a model that thinks first it is none of the answer's. */
  async probe(model, client, signal) {
    const messages = [{ role: 'user' as const, content: 'ok' }];
    await complete(client, { model, messages, ...tokenLimit(client, 1) }, { signal, emit: () => undefined });
  },
};

function parametersOf({ maxTokens, temperature, stop, schema, bind, tools }: ChatWith, client: OpenAI) {
  return {
    ...(maxTokens !== undefined && tokenLimit(client, maxTokens)),
    ...(temperature !== undefined && { temperature }),
    ...(stop !== undefined && { stop: [...stop] }),
    ...(schema !== undefined && bind !== false && boundTo(schema)),
    // Some servers refuse an empty list.
    ...(tools !== undefined && tools.length > 0 && { tools: tools.map(toolOf) }),
  };
}

/** `strict` is what binds the arguments to the schema on vLLM, not `tool_choice`. */
const toolOf = ({ name, description, schema }: NonNullable<ChatWith['tools']>[number]) => ({
  type: 'function' as const,
  function: { name, description, strict: true, parameters: closed(schema) as Record<string, unknown> },
});

/** The stage's output. Throws for a reply that is none. */
export function outputOf(completion: Completion, { schema, bind, wrongCalls, tools = [] }: ChatWith): JsonObject {
  const { text, finish, refusal } = completion;
  refuse(completion);
  const report = wrongCalls === 'report';
  const offered = new Map(tools.map((tool) => [tool.name, tool.schema]));
  // Whatever `finish_reason` says: some servers say "stop" beside a call, and some "tool_calls" beside none.
  if (completion.toolCalls.length > 0) {
    const read = report ? checkToolCalls : readToolCalls;
    return { text, finish: 'tools', toolCalls: read(completion.toolCalls, offered, finish) };
  }
  const inText = offered.size > 0 ? toolCallsInText(text, offered) : undefined;
  if (inText) {
    return { text: '', finish: 'tools', toolCalls: report ? checkReadCalls(inText, offered) : inText };
  }
  if (refusal) throw new MillraceError('BACKEND_REJECTED', `the model refuses: ${refusal}`);
  const end = {
    text,
    finish: finish === 'length' ? 'length' : 'stop',
    ...(offered.size > 0 && { toolCalls: [] }),
  };
  if (!schema) return end;
  if (bind !== false) return { ...end, data: readStructured(text, schema, finish) };
  const data = structuredIfFits(text, schema);
  return data === undefined ? end : { ...end, data };
}

/** Endings that are no reply. */
function refuse({ finish, text, toolCalls, reasoned }: Completion): void {
  const nothing = text === '' && toolCalls.length === 0;
  switch (finish) {
    case 'content_filter':
      throw new MillraceError('BACKEND_REJECTED', 'the server’s content filter withholds the reply');
    case 'abort': // vLLM, when it stops in the middle
    case 'error': // OpenRouter, when the server behind it fails
      throw new MillraceError('BACKEND_UNAVAILABLE', `the server gave the reply up (finish_reason ${finish})`);
    case 'tool_calls':
      if (nothing) throw new MillraceError('INVALID_OUTPUT', 'the reply has neither text nor tool calls');
      return;
    case 'length':
      if (!nothing) return;
      throw new MillraceError(
        'INVALID_OUTPUT',
        reasoned
          ? 'the reply has no text: all of its tokens went into reasoning; allow more'
          : 'the reply has no text within its most tokens',
      );
  }
}
