import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { errorRow, MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunDocument } from '../../pipelines/run/document.js';
import { cancelLeft, cancelRun, hasEnded } from '../../runs/cancel.js';
import { failureOf } from '../../runs/failed.js';
import { launch } from '../../runs/launch.js';
import { onLeaveOf } from '../../runs/leaving.js';
import { openWaitsOf } from '../../runs/open-waits.js';
import { type Paced, readPaced } from '../../runs/paced-runs.js';
import type { OrderInput } from '../../runs/sent-input.js';
import { holds, requirePermission } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { chargeReads } from '../openai/charged-reads.js';
import { decideAs } from '../waiting/decide-as.js';
import { decisionIn, type Elicited, hasForm } from './ask.js';
import type { ToolCall } from './call.js';
import { type Answering, failed, resultOf } from './call-tool.js';
import { oldTask, requestsOf, seenBy, task } from './task.js';

/** Most tasks of a page of the list. */
const PAGE = 50;
/** A call whose client takes tasks waits this long, in milliseconds, for a result before it becomes a task. */
export const SHORT_MS = 1_000;

type Asker = Answering;

/** Starts a run that its caller fetches later; waits for it for a moment. */
export async function startTask(
  deps: GatewayDeps,
  { tool, caller, persistence }: ToolCall,
  input: OrderInput,
  { waitMs, gone, idempotencyKey }: { waitMs: number; gone: AbortSignal; idempotencyKey?: string | undefined },
): Promise<RunDocument> {
  const order = { pipeline: tool.pipeline, caller, ...input, idempotencyKey, retry: 0, ...persistence };
  const { document } = await launch(deps, order, { waitMs, gone });
  // Its caller has not learnt its id.
  if (gone.aborted && document.status === 'running' && onLeaveOf(order) === 'cancel')
    await cancelLeft(deps, { id: document.id, tenant: caller.tenant });
  return document;
}

/**
 * A task of the extension, with its questions or its result.
 * @param asks whether its client can ask its user; for others a task that waits for a person is working
 */
export async function readTask(deps: GatewayDeps, asker: Asker, id: string, asks: boolean): Promise<JsonObject> {
  const found = await runOf(deps, asker, id);
  const run = asks ? found : { ...found, waiting: [] };
  const { waiting = [] } = run;
  const shown = task(run);
  const fault = shown.status === 'failed';
  return {
    ...shown,
    ...(shown.status === 'input_required' && { inputRequests: requestsOf(waiting) }),
    ...(shown.status === 'completed' && { result: await endResult(deps, asker, run) }),
    ...(fault && { error: { code: ProtocolErrorCode.InternalError, message: run.error?.message ?? 'internal error' } }),
  } as unknown as JsonObject;
}

/** A task of version 2025-11-25. */
export const readOldTask = async (deps: GatewayDeps, asker: Asker, id: string) => oldTask(await runOf(deps, asker, id));

/** The caller’s runs as tasks of version 2025-11-25. */
export async function listTasks(deps: GatewayDeps, { caller }: Asker, cursor: string | undefined) {
  const page = await asProtocol(() =>
    deps.list.page(caller, { filters: {}, limit: PAGE, ...(cursor !== undefined && { cursor }) }),
  );
  return {
    tasks: page.runs.map((run) => oldTask(run)),
    ...(page.nextCursor !== undefined && { nextCursor: page.nextCursor }),
  };
}

/** Requests cancellation; a task that has ended stays as it is. */
export async function cancelTask(deps: GatewayDeps, asker: Asker, id: string): Promise<RunDocument> {
  await asProtocol(async () => requirePermission(asker.caller, 'run'));
  const run = await runOf(deps, asker, id, { waits: 'acts' });
  if (run.status === 'running') await asProtocol(() => cancel(deps, id));
  return run;
}

/** Throws the protocol’s error if a task of version 2025-11-25 has ended. */
export async function cancelOldTask(deps: GatewayDeps, asker: Asker, id: string) {
  const run = await cancelTask(deps, asker, id);
  if (run.status !== 'running') throw asError(hasEnded());
  return { ...oldTask(run), status: 'cancelled' as const };
}

/** What answers have done. */
interface Answers {
  /** Nonces of what is decided. */
  readonly decided: ReadonlySet<string>;
  /** The run as it has been read; absent where something is decided. */
  readonly read?: RunDocument;
}

/** Takes answers to a run’s questions; those to others, and those without a decision, are ignored. */
export async function answerWaits(
  deps: GatewayDeps,
  { caller, signal }: Pick<Asker, 'caller'> & Pick<Paced, 'signal'>,
  run: string,
  answers: Readonly<Record<string, unknown>>,
): Promise<Answers> {
  const given = Object.entries(answers);
  const waits = given.length > 0 && holds(caller, 'approve') ? 'acts' : undefined;
  const { document } = await asProtocol(() => readPaced(deps, run, caller, { waits, signal }));
  const decided = new Set<string>();
  if (given.length === 0) return { decided, read: document };
  // An answer must not be taken for one to no question only because no worker has said what the run waits for.
  const asked = await asProtocol(() => openWaitsOf(deps, caller, document));
  const open = new Map(asked.map((wait) => [wait.nonce, wait]));
  const decisions = given.flatMap(([nonce, answer]) => {
    const wait = open.get(nonce);
    const decision = wait && decisionIn(answer as Elicited, hasForm(wait));
    return decision ? [{ nonce, ...decision }] : [];
  });
  // Each asks Temporal. The first was counted with the request.
  await asProtocol(() => chargeReads(deps, caller, decisions.length - 1));
  for (const decision of decisions) {
    await asProtocol(() => decideAs(deps, caller, { run, ...decision }));
    decided.add(decision.nonce);
  }
  return { decided, ...(decided.size === 0 && { read: document }) };
}

/** The run as its caller sees it. Throws as `readPaced` does, as an error of the protocol. */
async function runOf(deps: GatewayDeps, { caller }: Asker, id: string, how: Paced = {}): Promise<RunDocument> {
  const { document } = await asProtocol(() => readPaced(deps, id, caller, how));
  return seenBy(caller, document);
}

/** The result of a run that has ended. */
export const endResult = async (deps: GatewayDeps, asker: Asker, run: RunDocument) =>
  run.status === 'succeeded' ? await resultOf(deps, asker, run) : failed(failureOf(run));

async function cancel(deps: GatewayDeps, id: string): Promise<void> {
  await cancelRun(deps, id).catch((error: unknown) => {
    if (!(error instanceof MillraceError) || error.code !== 'RUN_ENDED') throw error;
  });
}

/** The errors of methods that have no result of their own for them. */
export async function asProtocol<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof MillraceError ? asError(error) : error;
  }
}

export function asError(error: MillraceError): ProtocolError {
  const { status } = errorRow(error.code);
  // Clients take invalid parameters for a mistake: they do not send the request again.
  const isMistake = status < 500 && status !== 429;
  const code = isMistake ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError;
  return new ProtocolError(code, `${error.code}: ${error.message}`, { 'millrace/code': error.code });
}
