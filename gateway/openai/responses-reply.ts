import type { TokenLogprob } from '../../pipelines/stages/index.js';
import type { RunDocument } from '../../runs/document.js';
import { type Answer, answerOf, type Completion } from './chat-reply.js';
import { customNames, inputOfArguments } from './custom-tools.js';
import type { ExecutedCall } from './executed-calls.js';
import { withLogprobs } from './logprobs.js';
import { logprobsBody } from './logprobs-body.js';
import { tokensBody } from './model-run.js';
import type { ResponsesRequest } from './responses-request.js';
import type { ReasoningSeal } from './sealed-reasoning.js';

/** Identity of a response, and the parameters of its request that it repeats. */
export interface ResponseOf extends Completion {
  readonly echo: ResponsesRequest['echo'];
  /** Seals the reasoning for the client to keep. Absent: it is not asked for. */
  readonly seal?: ReasoningSeal['seal'] | undefined;
}

type Status = 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled';
export type Item = Readonly<Record<string, unknown>>;

/** A run's answer, with the probabilities of its tokens if the response has them; throws as `withLogprobs`. */
export function answerTo({ echo, model }: Pick<ResponseOf, 'echo' | 'model'>, document: RunDocument): Answer {
  const answer = answerOf(document, model);
  return echo.top_logprobs === undefined ? answer : withLogprobs(answer, document, 'include');
}

export const responseId = (run: string): string => `resp_${run}`;

function base({ run, createdAt, model: { pipeline }, echo }: ResponseOf, status: Status, output: readonly Item[]) {
  return {
    id: responseId(run),
    object: 'response' as const,
    created_at: Math.floor(Date.parse(createdAt) / 1_000),
    status,
    model: pipeline.name,
    output,
    error: null as object | null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: echo.instructions ?? null,
    max_output_tokens: echo.max_output_tokens ?? null,
    temperature: echo.temperature ?? null,
    top_p: echo.top_p ?? null,
    top_logprobs: echo.top_logprobs ?? null,
    tools: echo.tools ?? [],
    tool_choice: echo.tool_choice ?? 'auto',
    text: { format: echo.text?.format ?? { type: 'text' } },
    parallel_tool_calls: echo.parallel_tool_calls ?? true,
    store: echo.store ?? true,
    background: echo.background ?? false,
    previous_response_id: echo.previous_response_id ?? null,
    conversation: echo.conversation ?? null,
    reasoning: { effort: echo.reasoning?.effort ?? null, summary: echo.reasoning?.summary ?? null },
    truncation: echo.truncation ?? 'disabled',
    metadata: echo.metadata ?? {},
  };
}

/** @param number of the message in the response, from 0 */
export const messageItem = (
  run: string,
  number: number,
  status: Status,
  ...part: Parameters<typeof textPart> | []
): Item => ({
  id: number === 0 ? `msg_${run}` : `msg_${run}_${number}`,
  type: 'message',
  role: 'assistant',
  status,
  content: part.length === 0 ? [] : [textPart(...part)],
});
export const textPart = (text: string, logprobs: readonly TokenLogprob[] = []) => ({
  type: 'output_text',
  text,
  annotations: [],
  logprobs: logprobsBody(logprobs).content ?? [],
});

/** @param number of the item in the response, from 0 */
export const reasoningItem = ({ run, seal }: Pick<ResponseOf, 'run' | 'seal'>, number: number, text: string): Item => ({
  id: `rs_${run}_${number}`,
  type: 'reasoning',
  status: 'completed',
  summary: [],
  content: [reasoningPart(text)],
  ...(seal && { encrypted_content: seal(text) }),
});
export const reasoningPart = (text: string) => ({ type: 'reasoning_text', text });

/** A message that an agent's model wrote before it called tools. */
export const commentary = (message: Item): Item => ({ ...message, phase: 'commentary' });

const callItem = (run: string, { id, name, arguments: given }: Answer['toolCalls'][number], i: number): Item => ({
  id: `fc_${run}_${i}`,
  type: 'function_call',
  status: 'completed',
  call_id: id,
  name,
  arguments: JSON.stringify(given),
});

/** A call of a custom tool. */
const customItem = (run: string, { id, name, arguments: given }: Answer['toolCalls'][number], i: number): Item => ({
  id: `ctc_${run}_${i}`,
  type: 'custom_tool_call',
  status: 'completed',
  call_id: id,
  name,
  input: inputOfArguments(given),
});

/**
 * An executed call with its output, as the protocol's item of a call that a server has executed. Clients execute only
 * `function_call` items.
 */
export const executedItem = (pipeline: string, { id, ...call }: ExecutedCall): Item => ({
  id: `mcp_${id}`,
  type: 'mcp_call',
  server_label: pipeline,
  ...call,
  approval_request_id: null,
});

/**
 * What the model thought, executed calls with what an agent said before them, then a message if there is text or nothing else, then function calls. If the text
 * is another stage's and streamed, the message comes before any calls are known.
 */
export function itemsOf({ run, model, echo, seal }: ResponseOf, answer: Answer): readonly Item[] {
  const { text, reasoning, toolCalls, executed, said, finish, logprobs } = answer;
  let messages = 0;
  const done = executed.flatMap((call) => {
    const before = said.get(call.id);
    const item = executedItem(model.pipeline.name, call);
    return before === undefined ? [item] : [commentary(messageItem(run, messages++, 'completed', before)), item];
  });
  const hasMessage = text !== '' || toolCalls.length === 0;
  const status = finish === 'length' ? 'incomplete' : 'completed';
  const message = hasMessage ? [messageItem(run, messages, status, text, logprobs)] : [];
  const isFirst = model.textStages.size > 0 && model.agents.size === 0;
  const both = isFirst ? [...message, ...done] : [...done, ...message];
  const custom = customNames(echo.tools);
  const thought = reasoning === undefined ? [] : [reasoningItem({ run, seal }, 0, reasoning)];
  return [
    ...thought,
    ...both,
    ...toolCalls.map((call, i) => (custom.has(call.name) ? customItem : callItem)(run, call, i)),
  ];
}

/**
 * The response of a run.
 * @param items of one that was streamed
 */
export function responseOf(of: ResponseOf, answer: Answer, items = itemsOf(of, answer)) {
  // Clients with types refuse a response without usage: 0 if no model server reports it.
  const { finish, usage = { input: 0, output: 0 } } = answer;
  return {
    ...base(of, finish === 'length' ? 'incomplete' : 'completed', items),
    usage: {
      ...tokensBody(usage),
      input_tokens_details: { cached_tokens: 0 },
      output_tokens_details: { reasoning_tokens: 0 },
    },
  };
}

/** The response of a run that has no answer, or not yet. */
export const unansweredOf = (of: ResponseOf, status: Status, error: object | null = null) => ({
  ...base(of, status, []),
  error,
});
