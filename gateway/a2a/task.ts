import { parseArtifactUri } from '../../pipelines/artifact.js';
import { errorRow, isErrorCode } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { RunDocument } from '../../runs/document.js';
import { type Caller, holds } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { embedding, mediaIn } from '../http/output-media.js';
import type { HeldResponse } from '../http/response-memory.js';
import { answerOf } from '../openai/chat-reply.js';
import type { Asked } from '../waiting/follow-call.js';
import { shownSubject } from '../waiting/shown.js';
import type { Agent } from './agents.js';
import type { Artifact, Message, Part, Task, TaskState, TaskStatus } from './protocol.js';

/** The artifact that an agent's answer is written to. */
export const ANSWER = 'answer';

/** The name of a task. */
export interface TaskName {
  /** The run's id. */
  readonly run: string;
  readonly context: string;
}

/** Who asks, and for whose agent. */
export interface Asker {
  readonly agent: Agent;
  readonly caller: Caller;
  /** Base URL of the gateway for the caller. */
  readonly base: string;
  /** Counts what the response holds. */
  readonly response?: HeldResponse | undefined;
}

const STATES: Readonly<Record<Exclude<RunDocument['status'], 'running'>, TaskState>> = {
  succeeded: 'TASK_STATE_COMPLETED',
  failed: 'TASK_STATE_FAILED',
  cancelled: 'TASK_STATE_CANCELED',
};

/** A run as a task, with its output once it has succeeded. */
export async function taskOf(deps: GatewayDeps, asker: Asker, run: RunDocument, context: string): Promise<Task> {
  const name = { run: run.id, context };
  const artifacts = run.status === 'succeeded' ? await artifactsOf(deps, asker, run) : [];
  return {
    id: run.id,
    contextId: context,
    status: statusOf(name, asker.caller, run),
    ...(artifacts.length > 0 && { artifacts }),
  };
}

/** The task of a run that has just been started. */
export const submitted = ({ run, context }: TaskName): Task => ({
  id: run,
  contextId: context,
  status: { state: 'TASK_STATE_SUBMITTED', timestamp: new Date().toISOString() },
});

/** For a caller who may not decide, a task that waits for a person is working. */
export function statusOf(name: TaskName, caller: Caller, run: RunDocument): TaskStatus {
  const { status, waiting = [], createdAt, endedAt } = run;
  if (status !== 'running') {
    const message = run.error && { message: messageOf(name, failureParts(run.error)) };
    return { state: STATES[status], ...message, timestamp: endedAt ?? new Date().toISOString() };
  }
  if (waiting.length > 0 && holds(caller, 'approve')) return asks(name, waiting);
  return { state: 'TASK_STATE_WORKING', timestamp: createdAt };
}

/** The status of a task that waits for decisions: of each a text for a person, and data for a program. */
export function asks(name: TaskName, waits: readonly Asked[]): TaskStatus {
  const parts = waits.flatMap(({ nonce, subject, call, question, until, shortened }): Part[] => [
    { text: shownSubject({ subject, shortened }) },
    {
      data: {
        nonce,
        subject,
        until,
        ...(call && { tool: call.tool, arguments: (call.arguments ?? null) as Json, digest: call.digest }),
        ...(question && { question: question as unknown as Json }),
        ...(shortened && { shortened }),
      } as JsonObject,
    },
  ]);
  return {
    state: 'TASK_STATE_INPUT_REQUIRED',
    message: messageOf(name, parts),
    timestamp: new Date().toISOString(),
  };
}

let messages = 0;
/** A message of the agent. */
export const messageOf = ({ run, context }: TaskName, parts: readonly Part[]): Message => ({
  messageId: `${run}-${Date.now()}-${messages++}`,
  taskId: run,
  contextId: context,
  role: 'ROLE_AGENT',
  parts,
});

function failureParts({ code, message, stage }: NonNullable<RunDocument['error']>): Part[] {
  const retry = isErrorCode(code) && errorRow(code).retry !== 'never';
  return [
    { text: `${code}: ${message}` },
    { data: { code, message, retry, ...(stage !== undefined && { stage }) } as JsonObject },
  ];
}

/**
 * The artifacts of a run that has succeeded: the answer's text, its other fields as data, its media.
 * @param artifacts where media are read from that are embedded. Absent: all are links
 */
export async function artifactsOf(
  { artifacts: store }: Partial<Pick<GatewayDeps, 'artifacts'>>,
  { agent, caller: { tenant }, base, response }: Asker,
  run: RunDocument,
): Promise<readonly Artifact[]> {
  const { output = {} } = run;
  const artifacts: Artifact[] = [];
  const text = agent.model ? answerOf(run, agent.model).text : '';
  if (text !== '') artifacts.push({ artifactId: ANSWER, name: ANSWER, parts: [{ text, mediaType: 'text/plain' }] });
  const data = dataOf(agent, output);
  if (data !== undefined)
    artifacts.push({ artifactId: 'output', name: 'output', parts: [{ data, mediaType: 'application/json' }] });
  const embed = store && embedding({ artifacts: store, tenant, response });
  for (const { artifact, href, name } of mediaIn(output)) {
    // Artifacts in an output may have been part of the input: the address may be another tenant's.
    if (parseArtifactUri(artifact.uri)?.tenant !== tenant) continue;
    const { mime, uri } = artifact;
    const raw = await embed?.(artifact);
    const content = raw === undefined ? { url: `${base}${href}` } : { raw };
    artifacts.push({ artifactId: name, name, parts: [{ ...content, mediaType: mime, metadata: { uri } }] });
  }
  return artifacts;
}

/** What an output says besides its answer; of a pipeline that is no chat model all of it. */
function dataOf({ model }: Agent, output: JsonObject): JsonObject | undefined {
  if (!model) return output;
  const others = Object.entries(output).filter(
    ([field, value]) =>
      field !== model.face.output && field !== 'finish' && !(Array.isArray(value) && value.length === 0),
  );
  return others.length > 0 ? Object.fromEntries(others) : undefined;
}
