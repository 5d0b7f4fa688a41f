import { MillraceError } from '../../../pipelines/errors.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { BROKEN_OFF, containsOneOf, FILTERED, UNREADABLE_CALL } from '../finish-reasons.js';
import { shortened } from '../http-fault.js';
import { type Completion, complete, tokenLimit } from './completion.js';
import { requireChoice } from './constrain.js';
import { continued } from './continued.js';
import { extrasOf, ofCaller, withExtra } from './extra.js';
import { HeldText } from './held-text.js';
import type { KindHandler } from './kind-handler.js';
import { messagesOf } from './messages.js';
import { type ChatWith, parametersOf } from './parameters.js';
import type { Question } from './question.js';
import { RefusedParameters } from './refused-parameters.js';
import { readStructured, structuredIfFits } from './structured.js';
import {
  checkReadCalls,
  checkToolCalls,
  expectExact,
  type OfferedTools,
  readToolCalls,
  toolCallsInText,
} from './tool-calls.js';

/** One turn of an LLM by `POST /v1/chat/completions`. */
export const chat: KindHandler = {
  async invoke(call, context) {
    const { model, with: options, input } = call;
    const { options: pool } = context;
    const wanted = wantedOf(options, input);
    const own: Question = {
      model,
      messages: await messagesOf(wanted.system, input, context, pool.reasoningInHistory),
      ...parametersOf(wanted, context),
      ...ofCaller(context.software, pool, context),
    };
    const question = withExtra(own, ...extrasOf(call, pool));
    const held = mayCall(wanted) ? new HeldText(context.emit) : undefined;
    const { signal, think, emit, refused } = context;
    const watched = {
      signal,
      refused,
      ...(think && { think: think.bind(context) }),
      emit: held?.emit ?? emit.bind(context),
    };
    const completion =
      (await continued(question, wanted, context)) ?? (await complete(context.client, question, watched));
    const output = outputOf(completion, wanted);
    if (output.text !== '') held?.release();
    const { reasoning } = completion;
    const logprobs = completion.logprobs.map(({ top, ...token }) => ({ ...token, top: top.slice(0, wanted.logprobs) }));
    // An agent's conversation keeps the reasoning only where its model wants it back.
    const kept = reasoning !== '' && (wanted.wrongCalls === undefined || pool.reasoningInHistory !== undefined);
    return {
      output: { ...output, ...(kept && { reasoning }), ...(logprobs.length > 0 && { logprobs }) },
      usage: completion.usage,
    };
  },
  /** The shortest prompt and one token of reply, which for a reasoning model is no part of the answer. */
  async probe(model, client, signal) {
    const messages = [{ role: 'user' as const, content: 'ok' }];
    const own = { signal, emit: () => undefined, refused: new RefusedParameters() };
    await complete(client, { model, messages, ...tokenLimit(client, 1) }, own);
  },
};

const mayCall = ({ tools = [], toolChoice }: ChatWith): boolean => tools.length > 0 && toolChoice !== 'none';

/** The tools that the model may call, with the schemas of their arguments: a named one alone. Some servers let it call another. */
function callable({ tools = [], toolChoice }: ChatWith): OfferedTools {
  const named = typeof toolChoice === 'object' ? toolChoice.name : undefined;
  const all = toolChoice === 'none' ? [] : tools.filter(({ name }) => named === undefined || name === named);
  return new Map(all.map(({ name, schema }) => [name, schema as JsonObject]));
}

/** The first call where one at a time was asked for, which some servers ignore: the others are dropped unread, as vLLM drops them. */
const allowed = <T>(calls: readonly T[], { parallelToolCalls }: ChatWith): readonly T[] =>
  parallelToolCalls === false ? calls.slice(0, 1) : calls;

/** A call's own parameters override the definition's. Throws `INVALID_INPUT` if both set the reply's format. */
function wantedOf(
  options: JsonObject,
  { prompt: _, history: __, images: ___, parts: ____, ...given }: JsonObject,
): ChatWith {
  if (options.schema === undefined || given.output === undefined) return { ...options, ...given };
  const message = 'the definition already sets a schema for the reply';
  throw new MillraceError('INVALID_INPUT', `output: ${message}`, { fields: [{ field: 'output', message }] });
}

/** The stage's output. Throws if the completion is not a usable reply. */
export function outputOf(completion: Completion, wanted: ChatWith): JsonObject {
  const { text, finish, refusal } = completion;
  const { schema, bind, output, wrongCalls, tools = [], toolChoice } = wanted;
  refuse(completion);
  const report = wrongCalls === 'report';
  const offered = callable(wanted);
  // `finish_reason` is ignored: some servers send "stop" with a call, and some "tool_calls" without one.
  if (completion.toolCalls.length > 0) {
    const read = report ? checkToolCalls : readToolCalls;
    return { text, finish: 'tools', toolCalls: read(allowed(completion.toolCalls, wanted), offered, finish) };
  }
  const inText = offered.size > 0 ? toolCallsInText(text, offered) : undefined;
  if (inText) {
    const calls = allowed(inText, wanted);
    return { text: '', finish: 'tools', toolCalls: report ? checkReadCalls(calls, offered) : expectExact(calls) };
  }
  if (refusal) throw new MillraceError('BACKEND_REJECTED', `the model refuses: ${refusal}`);
  // llama.cpp does not enforce `tool_choice`.
  if (mayCall(wanted) && toolChoice !== undefined && toolChoice !== 'auto') {
    throw new MillraceError('INVALID_OUTPUT', 'the model called no tool although the call requires one');
  }
  const end = {
    text,
    finish: finish === 'length' ? 'length' : 'stop',
    ...(tools.length > 0 && { toolCalls: [] }),
  };
  if (finish !== 'length') requireChoice(text, wanted.constrain);
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
function refuse({ finish = '', text, toolCalls, reasoning }: Completion): void {
  const reason = `finish_reason ${shortened(finish)}`;
  if (containsOneOf(finish, FILTERED)) {
    throw new MillraceError('BACKEND_REJECTED', `the server’s content filter blocked the reply (${reason})`);
  }
  if (containsOneOf(finish, UNREADABLE_CALL)) {
    throw new MillraceError('INVALID_OUTPUT', `the server cannot read the model’s tool call (${reason})`);
  }
  if (BROKEN_OFF.includes(finish)) {
    throw new MillraceError('BACKEND_UNAVAILABLE', `the server aborted the reply (${reason})`);
  }
  if (text !== '' || toolCalls.length > 0) return;
  switch (finish) {
    case 'tool_calls':
      throw new MillraceError('INVALID_OUTPUT', 'the reply has neither text nor tool calls');
    case 'length':
      throw new MillraceError(
        'LENGTH',
        reasoning === ''
          ? 'the reply has no text within its token limit'
          : 'the reply has no text: reasoning used up its token limit; raise `maxTokens` or set `thinkingTokens`',
      );
  }
}
