import type { CallToolResult, ProgressToken, ServerNotification } from '@modelcontextprotocol/sdk/types.js';
import { errorRow, MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunEvent } from '../../pipelines/run/index.js';
import { followAttended } from '../../runs/attended.js';
import type { RunDocument } from '../../runs/document.js';
import { type Caller, requirePermission } from '../access/caller.js';
import type { Persistence } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import { asMillraceError } from '../http/problem.js';
import { MediaIntake } from '../input/media-intake.js';
import { readJsonInput } from '../input/read-input.js';
import { contentOf } from './content.js';
import type { PipelineTool } from './tool.js';

/** A call of a tool. */
export interface ToolCall {
  readonly tool: PipelineTool;
  readonly caller: Caller;
  readonly input: JsonObject;
  /** What the request's headers say about retries and about leaving. */
  readonly persistence?: Persistence;
  /** Base URL of the gateway for the caller. */
  readonly base: string;
  /** The token of progress notifications, if the caller requested them. */
  readonly progressToken?: ProgressToken | undefined;
  readonly notify: (notification: ServerNotification) => Promise<void>;
  /** Aborts when the caller cancels or disconnects. */
  readonly cancelled: AbortSignal;
  /** Aborts at shutdown: the run continues. */
  readonly closing: AbortSignal;
  /** Called as soon as the run has started. */
  readonly started: (run: string) => void;
}

/**
 * Runs a pipeline as a tool. Errors that the caller or the model can act on become results with `isError`; only
 * `INTERNAL` is thrown.
 */
export async function callTool(deps: GatewayDeps, call: ToolCall): Promise<CallToolResult> {
  try {
    requirePermission(call.caller, 'run');
    const intake = new MediaIntake(deps.artifacts, call.caller.tenant, deps.limits.maxAudioBytes);
    const input = await readJsonInput(call.input, call.tool.form, intake);
    const document = await runToItsEnd(deps, call, input);
    const { output = {} } = document;
    const content = await contentOf(output, { artifacts: deps.artifacts, tenant: call.caller.tenant, base: call.base });
    return { content, structuredContent: output, _meta: { 'millrace/run': document.id } };
  } catch (thrown) {
    const error = asMillraceError(thrown);
    if (error.code === 'INTERNAL') throw error;
    return failed(error);
  }
}

/** Follows the run to its end and sends its progress. */
async function runToItsEnd(deps: GatewayDeps, call: ToolCall, input: JsonObject): Promise<RunDocument> {
  const { tool, caller, cancelled, closing, progressToken, notify } = call;
  if (cancelled.aborted) throw cancelledCall();
  const { events } = await followAttended(
    deps,
    { pipeline: tool.pipeline, caller, input, ...call.persistence },
    { gone: cancelled, closing, started: ({ id }) => call.started(id) },
  ).catch(asCancelled);
  let progress = 0;
  let document: RunDocument | undefined;
  try {
    for await (const each of events) {
      if ('document' in each) {
        document = each.document;
        continue;
      }
      const message = messageOf(each.event);
      if (progressToken === undefined || message === undefined) continue;
      progress += 1;
      await notify({ method: 'notifications/progress', params: { progressToken, progress, message } });
    }
  } catch (error) {
    asCancelled(error);
  }
  if (document === undefined) throw new MillraceError('INTERNAL', 'the run has ended without a document');
  return document;
}

const cancelledCall = () => new MillraceError('RUN_CANCELLED', 'the call was cancelled');

/** In this protocol a client that disconnects has cancelled its call. */
function asCancelled(error: unknown): never {
  throw error instanceof MillraceError && error.code === 'REQUEST_ABORTED' ? cancelledCall() : error;
}

/** The progress message of an event, if it has one. The total is unknown: a plan has branches and loops. */
function messageOf(event: RunEvent): string | undefined {
  if (event.type === 'events.lost') return undefined;
  const { path } = event;
  switch (event.type) {
    case 'stage.started':
      return `${path} started${event.attempt > 1 ? `, attempt ${event.attempt}` : ''}`;
    case 'stage.finished':
      return `${path} finished`;
    case 'stage.failed':
      return `${path} failed: ${event.code}`;
    case 'stage.waiting_for':
      return `${path} waits for ${event.model}`;
    case 'stage.waiting':
      return `${path} waits for a person: ${event.subject}`;
    case 'stage.decided':
      return `${path} was ${event.approved ? 'approved' : 'rejected'}`;
    default:
      return undefined;
  }
}

/** The code comes first, for models and programs; the fields say what to correct. */
function failed(error: MillraceError): CallToolResult {
  const { code, message, details } = error;
  const run = 'run' in error ? (error.run as RunDocument).id : undefined;
  return {
    isError: true,
    content: [{ type: 'text', text: `${code}: ${message}` }],
    _meta: {
      'millrace/code': code,
      'millrace/retry': errorRow(code).retry !== 'never',
      ...(details.fields && details.fields.length > 0 && { 'millrace/fields': details.fields }),
      ...(run !== undefined && { 'millrace/run': run }),
    },
  };
}
