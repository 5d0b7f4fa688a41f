import type { OpenAI } from 'openai';
import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import type { ChatParameters } from '../../../pipelines/stages/index.js';
import { type Completion, complete, type Question, tokenLimit } from './completion.js';
import type { KindHandler } from './kind-handler.js';
import { messagesOf } from './messages.js';
import { boundTo, closed, readStructured, structuredIfFits } from './structured.js';
import { checkReadCalls, checkToolCalls, readToolCalls, toolCallsInText } from './tool-calls.js';

/** Parameters of a `chat` call: the definition's options and the call's own. */
interface ChatWith extends ChatParameters {
  readonly system?: string;
  readonly schema?: JsonObject;
  /** `false`: the reply is not bound to the schema; `data` is present if it happens to fit. */
  readonly bind?: boolean;
  /** An invalid tool call is returned together with its error; absent: the reply fails with `INVALID_OUTPUT`. */
  readonly wrongCalls?: 'report';
}
type OfferedTool = NonNullable<ChatParameters['tools']>[number];

/** One turn of an LLM by `POST /v1/chat/completions`. */
export const chat: KindHandler = {
  async invoke({ model, with: options, input }, context) {
    const wanted = wantedOf(options, input);
    const question: Question = {
      model,
      messages: await messagesOf(wanted.system, input, context),
      ...parametersOf(wanted, context.client),
    };
    const completion = await complete(context.client, question, context);
    return { output: outputOf(completion, wanted), usage: completion.usage };
  },
  /** The shortest prompt and one token of reply, which for a reasoning model is no part of the answer. */
  async probe(model, client, signal) {
    const messages = [{ role: 'user' as const, content: 'ok' }];
    await complete(client, { model, messages, ...tokenLimit(client, 1) }, { signal, emit: () => undefined });
  },
};

/** A call's own parameters override the definition's. Throws `INVALID_INPUT` if both set the reply's format. */
function wantedOf(options: JsonObject, { prompt: _, history: __, images: ___, ...given }: JsonObject): ChatWith {
  if (options.schema === undefined || given.output === undefined) return { ...options, ...given };
  const message = 'the definition already sets a schema for the reply';
  throw new MillraceError('INVALID_INPUT', `output: ${message}`, { fields: [{ field: 'output', message }] });
}

function parametersOf(wanted: ChatWith, client: OpenAI) {
  const { maxTokens, temperature, topP, stop, seed, presencePenalty, frequencyPenalty, schema, bind, output } = wanted;
  return {
    ...(maxTokens !== undefined && tokenLimit(client, maxTokens)),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { top_p: topP }),
    ...(stop !== undefined && { stop: [...stop] }),
    ...(seed !== undefined && { seed }),
    ...(presencePenalty !== undefined && { presence_penalty: presencePenalty }),
    ...(frequencyPenalty !== undefined && { frequency_penalty: frequencyPenalty }),
    ...(schema !== undefined && bind !== false && boundTo(schema)),
    ...(output === 'json' && { response_format: { type: 'json_object' as const } }),
    ...(typeof output === 'object' && boundTo(output.schema as JsonObject, output.strict ?? false)),
    ...toolsOf(wanted),
  };
}

function toolsOf({ tools = [], toolChoice, parallelToolCalls }: ChatWith) {
  // Some servers refuse an empty list, and some call tools despite `tool_choice: none`.
  if (tools.length === 0 || toolChoice === 'none') return {};
  return {
    tools: tools.map(toolOf),
    ...(toolChoice !== undefined && { tool_choice: choiceOf(toolChoice) }),
    ...(parallelToolCalls !== undefined && { parallel_tool_calls: parallelToolCalls }),
  };
}

const choiceOf = (choice: Exclude<NonNullable<ChatParameters['toolChoice']>, 'none'>) =>
  typeof choice === 'string' ? choice : { type: 'function' as const, function: { name: choice.name } };

/**
 * `strict` binds the arguments to the schema on vLLM; `tool_choice` does not. A definition's own tools are bound; for
 * tools of a single call the caller decides, because OpenAI's own server then accepts fewer schemas.
 */
const toolOf = ({ name, description, schema, strict = true }: OfferedTool) => ({
  type: 'function' as const,
  function: {
    name,
    description,
    strict,
    parameters: (strict ? closed(schema as JsonObject) : schema) as Record<string, unknown>,
  },
});

/** The stage's output. Throws if the completion is not a usable reply. */
export function outputOf(completion: Completion, wanted: ChatWith): JsonObject {
  const { text, finish, refusal } = completion;
  const { schema, bind, output, wrongCalls, tools = [], toolChoice } = wanted;
  refuse(completion);
  const report = wrongCalls === 'report';
  const offered = new Map(toolChoice === 'none' ? [] : tools.map(({ name, schema }) => [name, schema as JsonObject]));
  // `finish_reason` is ignored: some servers send "stop" with a call, and some "tool_calls" without one.
  if (completion.toolCalls.length > 0) {
    const read = report ? checkToolCalls : readToolCalls;
    return { text, finish: 'tools', toolCalls: read(completion.toolCalls, offered, finish) };
  }
  const inText = offered.size > 0 ? toolCallsInText(text, offered) : undefined;
  if (inText) {
    return { text: '', finish: 'tools', toolCalls: report ? checkReadCalls(inText, offered) : inText };
  }
  if (refusal) throw new MillraceError('BACKEND_REJECTED', `the model refuses: ${refusal}`);
  // llama.cpp does not enforce `tool_choice`.
  if (offered.size > 0 && toolChoice !== undefined && toolChoice !== 'auto') {
    throw new MillraceError('INVALID_OUTPUT', 'the model called no tool although the call requires one');
  }
  const end = {
    text,
    finish: finish === 'length' ? 'length' : 'stop',
    ...(tools.length > 0 && { toolCalls: [] }),
  };
  if (schema && bind !== false) return { ...end, data: readStructured(text, schema, finish) };
  if (schema) {
    const data = structuredIfFits(text, schema);
    return data === undefined ? end : { ...end, data };
  }
  // A caller that set the format for this call gets the reply as it was cut, with `finish: length`.
  if (output === undefined || finish === 'length') return end;
  return { ...end, data: readStructured(text, output === 'json' ? ANY_OBJECT : (output.schema as JsonObject), finish) };
}

const ANY_OBJECT: JsonObject = { type: 'object', additionalProperties: true };

/** Throws for endings that leave no usable reply. */
function refuse({ finish, text, toolCalls, reasoned }: Completion): void {
  const nothing = text === '' && toolCalls.length === 0;
  switch (finish) {
    case 'content_filter':
      throw new MillraceError('BACKEND_REJECTED', 'the server’s content filter blocked the reply');
    case 'abort': // vLLM, when it stops in the middle
    case 'error': // OpenRouter, when the server behind it fails
      throw new MillraceError('BACKEND_UNAVAILABLE', `the server aborted the reply (finish_reason ${finish})`);
    case 'tool_calls':
      if (nothing) throw new MillraceError('INVALID_OUTPUT', 'the reply has neither text nor tool calls');
      return;
    case 'length':
      if (!nothing) return;
      throw new MillraceError(
        'INVALID_OUTPUT',
        reasoned
          ? 'the reply has no text: reasoning used up its token limit; raise the limit'
          : 'the reply has no text within its token limit',
      );
  }
}
