import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CallToolRequest,
  type CallToolResult,
  type Client,
  isInputRequiredResult,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/client';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { AskedQuestions } from '../../pipelines/run/index.js';
import type { GoesOn } from './goes-on.js';
import { type Ask, questionsIn } from './question.js';
import {
  awaitTask,
  type Called,
  type Connected,
  checkpointOf,
  keptTask,
  nobodyAsked,
  options,
  taskAgain,
  taskIn,
} from './task.js';
import { TaskAnswers } from './task-answers.js';

/** Times that a server may let a call be made again without asking anything, and the pause before each, in milliseconds. */
const MOST_AGAIN = 10;
const AGAIN_MS = 250;
/** Longest state of a server, in UTF-16 units: the run's history has it. */
const LONGEST_STATE = 64 * 1_024;

/** Key of the idempotency key in a call's `_meta`: a server that supports it can drop a repeated call. */
const IDEMPOTENCY_META = 'millrace/idempotencyKey';

export interface ToolCall {
  readonly connected: Connected;
  readonly signal: AbortSignal;
  readonly server: string;
  readonly tool: string;
  readonly given: JsonObject;
  /** The server, and with it its tasks, is still there when this process ends. */
  readonly outlives: boolean;
  readonly idempotencyKey: string;
  /** Awaited when the server is connected, just before the call. */
  readonly mayBegin?: (() => Promise<void>) | undefined;
  readonly checkpoint?: ((progress: Json) => void) | undefined;
  readonly resumeFrom?: Json | undefined;
  /** The server may ask. Absent: it was told that nobody can be asked. */
  readonly asking?: { readonly ask: Ask; readonly goesOn?: GoesOn | undefined } | undefined;
}

/**
 * A call of a tool: its result, or what the server asks before. A tool that the server makes a task is awaited, and an attempt that finds
 * one goes on with it and calls nothing.
 */
export async function callTool(call: ToolCall): Promise<Called> {
  const { connected, signal, server, outlives, checkpoint, resumeFrom, asking } = call;
  const { goesOn } = asking ?? {};
  const key = goesOn?.key ?? call.idempotencyKey;
  let own: Client | undefined;
  let task = keptTask(resumeFrom) ?? (goesOn?.task === undefined ? undefined : taskAgain(goesOn.task));
  if (task === undefined) {
    const made = await begin({ ...call, idempotencyKey: key }, (client) => {
      own = client;
    });
    if ('asks' in made) return made;
    task = taskIn(made.result);
    if (task === undefined) return made;
  }
  if (outlives) checkpoint?.(checkpointOf(task));
  const ofTask: Connected = (work, until) =>
    connected(async (client) => {
      if (outlives || client === own) return await work(client);
      const why = `MCP server "${server}": its process has ended, and with it the task`;
      throw new MillraceError('TOOL_SERVER_UNAVAILABLE', why);
    }, until);
  // The task of a process ends with it, so its call stays open while a person is asked.
  const held = outlives ? undefined : asking?.ask;
  const answers = asking && new TaskAnswers({ task: task.taskId, key, ask: held }, goesOn);
  const limits = { givenUp: () => checkpoint?.(null), answers, ...(!outlives && { mostFailures: 1 }) };
  return await awaitTask(ofTask, task, signal, limits);
}

/** Makes the call; again if the server only wants that. */
async function begin(call: ToolCall, by: (client: Client) => void): Promise<Called> {
  const { connected, signal, tool, given, idempotencyKey, mayBegin, asking } = call;
  let retry = retryOf(asking?.goesOn);
  for (let time = 0; time <= MOST_AGAIN; time++) {
    const params = { name: tool, arguments: { ...given }, _meta: { [IDEMPOTENCY_META]: idempotencyKey }, ...retry };
    const reply: unknown = await connected(async (client) => {
      await mayBegin?.();
      by(client);
      try {
        return await client.callTool(params as CallToolRequest['params'], {
          ...options(signal),
          allowInputRequired: true,
        });
      } catch (error) {
        if (!asking || !(error instanceof UrlElicitationRequiredError)) throw error;
        return new Refusal(error.elicitations);
      }
    }, signal);
    if (reply instanceof Refusal) return { asks: placesToGo(reply.places, idempotencyKey) };
    if (!isInputRequiredResult(reply)) return { result: reply as CallToolResult };
    const { inputRequests = {}, requestState: state } = reply;
    if (state !== undefined && state.length > LONGEST_STATE)
      throw new MillraceError('TOOL_FAILED', `the server’s state has more than ${LONGEST_STATE} characters`);
    const kept = state === undefined ? {} : { state };
    if (Object.keys(inputRequests).length > 0) {
      if (!asking) throw nobodyAsked();
      return { asks: { questions: questionsIn(inputRequests), goesOn: { key: idempotencyKey, ...kept } } };
    }
    retry = state === undefined ? {} : { requestState: state };
    await sleep(AGAIN_MS, undefined, { signal });
  }
  throw new MillraceError('TOOL_FAILED', `the server wanted the call to be made more than ${MOST_AGAIN} times`);
}

/** What a repeated call takes along. Throws `TOOL_FAILED` if a person has not done what the server wants first. */
function retryOf(goesOn: GoesOn | undefined): JsonObject {
  if (goesOn === undefined) return {};
  const { answers, state, again } = goesOn;
  if (!again) {
    const inputResponses = answers as unknown as JsonObject;
    return state === undefined ? { inputResponses } : { inputResponses, requestState: state };
  }
  if (Object.values(answers).every(({ action }) => action === 'accept')) return {};
  throw new MillraceError('TOOL_FAILED', 'a person has not done what the tool needs first');
}

/** A server refuses a call until a person has been somewhere: error -32042 of version 2025-11-25. */
class Refusal {
  readonly places: readonly object[];

  constructor(places: readonly object[]) {
    this.places = places;
  }
}

function placesToGo(places: readonly object[], key: string): AskedQuestions {
  const requests = places.map((params, i) => [`${i + 1}`, { method: 'elicitation/create', params }] as const);
  return { questions: questionsIn(Object.fromEntries(requests)), goesOn: { key, again: true } };
}
