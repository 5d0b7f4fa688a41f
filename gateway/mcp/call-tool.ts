import type { CallToolResult } from '@modelcontextprotocol/server';
import { errorRow, type MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunDocument } from '../../runs/document.js';
import type { CheckedInput } from '../../runs/sent-input.js';
import { requirePermission } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { asMillraceError } from '../http/problem.js';
import { SMALL_BYTES } from '../http/response-memory.js';
import { MediaIntake, type Sender } from '../input/media-intake.js';
import { readJsonInput } from '../input/read-input.js';
import type { Followed, NeedsInput } from '../waiting/follow-call.js';
import type { ToolCall } from './call.js';
import { contentOf } from './content.js';

/** Whom a call is answered, and what counts its response. */
export type Answering = Pick<ToolCall, 'caller' | 'base' | 'response'>;

/** What a call yields. */
export type Answered = { readonly result: CallToolResult } | { readonly needs: NeedsInput };

/** The input of a call: its media stored, its fields checked. Throws `FORBIDDEN`, `INVALID_INPUT` and errors of media. */
export async function inputOf(
  deps: GatewayDeps,
  { tool, caller }: ToolCall,
  sender: Sender,
  given: JsonObject,
): Promise<CheckedInput> {
  requirePermission(caller, 'run');
  return await readJsonInput(given, tool.form, new MediaIntake(deps.artifacts, sender, deps.limits));
}

/**
 * What a call yields. Errors that the caller or the model can act on become results with `isError`; only `INTERNAL` is
 * thrown.
 */
export async function answerOf(deps: GatewayDeps, call: Answering, work: () => Promise<Followed>): Promise<Answered> {
  try {
    const followed = await work();
    return 'waits' in followed ? { needs: followed } : { result: await resultOf(deps, call, followed.document) };
  } catch (thrown) {
    const error = asMillraceError(thrown);
    if (error.code === 'INTERNAL') throw error;
    return { result: failed(error) };
  }
}

/** The result of a run that has succeeded. Throws `BODY_MEMORY_FULL`. */
export async function resultOf(
  { artifacts }: Pick<GatewayDeps, 'artifacts'>,
  { caller: { tenant }, base, response }: Answering,
  { id, output = {} }: RunDocument,
): Promise<CallToolResult> {
  const text = JSON.stringify(output);
  // A result has its output twice.
  if (text.length > SMALL_BYTES) response?.take(2 * text.length);
  const content = await contentOf(output, { artifacts, tenant, base, response }, text);
  return { content, structuredContent: output, _meta: { 'millrace/run': id } };
}

/** An error as a result. The code comes first, for models and programs; the fields say what to correct. */
export function failed(error: MillraceError): CallToolResult {
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
