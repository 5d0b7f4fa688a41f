import { randomUUID } from 'node:crypto';
import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { limited } from '../../../runtime/limited.js';
import { type Answer, bodyOf, LONGEST_BODY } from '../exchange.js';
import { HandedOver } from '../handed-over.js';
import { type DescribedCall, whole } from './answered.js';
import type { Objects, RequestTemplate } from './api.js';
import { failureOf, failureOfJob } from './faults.js';
import { askedBy } from './kept-job.js';
import { ending } from './polling.js';
import { settled } from './redirects.js';
import { below, isBelow, type ObjectStore, type S3Address, s3Address, s3Uri } from './s3/index.js';
import { requestBy } from './send.js';
import { render, type Scope, type Template } from './template.js';

/** A call whose input and output are objects. */
interface StoredCall extends DescribedCall {
  readonly objects: Objects;
  readonly store: ObjectStore;
}

/** What is kept of a job for the next attempt, as addresses: its input, and where its output will be once it is submitted. */
interface Kept {
  readonly endpoint: string;
  readonly input: string;
  /** `askedBy` of its call. Absent in checkpoints of earlier releases. */
  readonly asked?: string;
  readonly job?: { readonly output: string; readonly failure?: string; readonly until?: number };
}

/** A job that the server has taken. */
interface Job {
  readonly input: S3Address;
  readonly output: S3Address;
  readonly failure?: S3Address | undefined;
  /** When it has come to nothing if there is neither, in milliseconds since 1970. Absent: never. */
  readonly until?: number | undefined;
}

/** How a job has ended: the body of its output is still to be read. `undefined`: it has come to nothing. */
type End = { readonly output: Response } | { readonly failure: Answer | undefined };

const NOTHING: End = { failure: undefined };

/** In place of a tenant, for calls outside runs: no tenant has such a name. */
const NO_TENANT = '_';
/** Between the first two questions, as of other jobs. */
const EVERY_MS = 1_000;
/** Of the deletion of an input, for which nothing waits longer. */
const DELETE_MS = 5_000;
/** Servers let a request wait so long at least. */
const LEAST_WAIT_MS = 60_000;

/**
 * The output of a job: its input is written as an object, the request names it, and its output, or its failure, is an
 * object that is asked for. An attempt that is repeated at the same server goes on with the job that it has; without one it
 * submits the input of the attempt before, under the same name. A job that has failed or come to nothing is not kept, so that the
 * next attempt may go to another server.
 */
export async function readStoredJob(call: StoredCall, submit: RequestTemplate): Promise<Response> {
  const kept = keptOf(call);
  if (kept?.job) {
    const { job } = kept;
    const end = await cancellable(call, job.input, () => endOf(call, job));
    if ('output' in end) return end.output;
    call.context.checkpoint(null);
  }
  const input = kept?.input ?? (await newInput(call));
  const end = await cancellable(call, input, async () => endOf(call, await submitted(call, submit, input)));
  if ('output' in end) return end.output;
  call.context.checkpoint(null);
  if (end.failure) throw failureOfJob(call.api, end.failure);
  throw new MillraceError('BACKEND_TIMEOUT', 'the job has come to nothing: there is neither an output nor a failure');
}

/** What the attempt before has left: a job, or the input of one that may not have been submitted. */
function keptOf(call: StoredCall): { readonly input?: S3Address; readonly job?: Job } | undefined {
  const { resumeFrom } = call.context;
  const { endpoint, input: uri, asked, job } = (isJsonObject(resumeFrom) ? resumeFrom : {}) as Partial<Kept>;
  if (asked !== undefined && asked !== askedBy(call.call)) return undefined;
  const input = s3Address(uri);
  if (endpoint !== call.sender.base || !input || !isBelow(input, ownPlace(call))) return undefined;
  if (!job) return { input };
  const [output, failure] = [job.output, job.failure].map((each) => readable(call, s3Address(each)));
  return output && { job: { input, output, failure, until: job.until } };
}

/** Where inputs of the call's tenant are. */
const ownPlace = ({ objects, context }: StoredCall): S3Address => below(objects.inputs, context.tenant ?? NO_TENANT);

/** A name for an input, which no other has. */
async function newInput(call: StoredCall): Promise<S3Address> {
  const { objects, store, context } = call;
  const input = below(ownPlace(call), randomUUID());
  // Keys that may not delete are found out before there is anything to delete.
  if (objects.deleteInputs) await store.remove(input, context.signal);
  return input;
}

/**
 * Writes the input and sends the request. The input's name is recorded before, the job after its answer: an attempt after a crash in between
 * writes the same input again and sends a second request.
 */
async function submitted(call: StoredCall, submit: RequestTemplate, input: S3Address): Promise<Job> {
  const { api, objects, store, scope, sender, transport, context } = call;
  const { signal } = context;
  const { json, form, multipart, bytes, contentType, ...head } = submit;
  const payload = await payloadOf(call, { json, form, multipart, bytes, contentType });
  const written = { endpoint: sender.base, input: s3Uri(input), asked: askedBy(call.call) };
  context.checkpoint(written satisfies Kept);
  await store.put(input, payload.bytes, payload.type, signal);
  const object = { uri: s3Uri(input), type: payload.type, id: input.key.split('/').at(-1) ?? '' };
  const named: Scope = { ...scope, call: { ...(scope.call as JsonObject), object } };
  const { response, failed } = await settled(transport, await requestBy(head, named, sender), signal, sender.origins);
  if (failed) {
    // After another error the server may have taken the job, and need its input.
    if (failed.status < 500) await withoutInput(call, input, signal);
    throw failureOf(api, failed);
  }
  const answer = await whole({ ...api, response: {} }, response, signal);
  const output = placeOf(call, objects.output, answer);
  const failure = placeOf(call, objects.failure, answer);
  if (!output) throw new MillraceError('INVALID_OUTPUT', 'the answer does not say where the output will be');
  const until = latestEnd(context);
  const job = {
    output: s3Uri(output),
    ...(failure && { failure: s3Uri(failure) }),
    ...(until !== undefined && { until }),
  };
  context.checkpoint({ ...written, job } satisfies Kept as unknown as Json);
  return { input, output, failure, until };
}

/**
 * A request that is told how long its attempt lasts waits so long at most, and is worked on so long at most. Whether a server
 * writes a failure then is its own affair: later there will be none.
 */
function latestEnd({ endsAt }: StoredCall['context']): number | undefined {
  if (endsAt === undefined) return undefined;
  return Math.ceil(Date.now() + 2 * Math.max(0, endsAt - performance.now()) + LEAST_WAIT_MS);
}

/** The bytes of the request's body, as its template makes it. */
async function payloadOf(
  { scope, sender }: StoredCall,
  body: RequestTemplate,
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly type: string }> {
  const made = await requestBy({ ...body, path: '/' }, scope, { ...sender, headers: {}, fixed: {} });
  // Of a form it knows the boundary.
  const written = new Response(made.body ?? '');
  const type = made.headers?.['content-type'] ?? written.headers.get('content-type') ?? 'application/octet-stream';
  const bytes = new Uint8Array(await written.arrayBuffer());
  if (bytes.byteLength <= LONGEST_BODY) return { bytes, type };
  throw new MillraceError('BODY_TOO_LARGE', `the input is longer than ${LONGEST_BODY / 1_024 / 1_024} MiB`);
}

/** An address in the answer to the request; undefined if it has none. */
function placeOf(call: StoredCall, template: Template | undefined, answer: Scope): S3Address | undefined {
  if (template === undefined) return undefined;
  const text = render(template, {
    scope: { ...call.scope, ...answer },
    wrong: (pointer, problem) =>
      new MillraceError('INVALID_OUTPUT', `the answer names no place of the output: ${pointer} ${problem}`),
    spent: { made: 0 },
  });
  if (text === undefined || text === null) return undefined;
  const place = readable(call, s3Address(text));
  if (place) return place;
  const shown = JSON.stringify(text).slice(0, 500);
  throw new MillraceError('BACKEND_REJECTED', `the output will be at ${shown}, not below "outputs" of the pool`);
}

/** The place, if it is one where outputs of the pool may be. */
function readable({ objects: { inputs, outputs } }: StoredCall, place: S3Address | undefined): S3Address | undefined {
  const above = outputs ?? [{ bucket: inputs.bucket, key: '' }];
  return place && above.some((each) => isBelow(place, each)) ? place : undefined;
}

/** Waits for the job's end. Its input is deleted then, where the pool says so. */
async function endOf(call: StoredCall, job: Job): Promise<End> {
  const { objects, store, context } = call;
  const { signal } = context;
  const end = await ending<End>(
    async () => {
      const output = await store.get(job.output, signal);
      if (output) return { end: { output } };
      const failure = job.failure && (await store.get(job.failure, signal));
      const over = job.until !== undefined && job.until < Date.now();
      if (!failure) return over ? { end: NOTHING } : { waitMs: undefined };
      const { status, headers } = failure;
      return { end: { failure: { status, headers, body: await bodyOf(failure, signal) } } };
    },
    { everyMs: objects.everyMs ?? EVERY_MS, signal },
  );
  await withoutInput(call, job.input, signal);
  return end;
}

/** Deletes the input of a call that is cancelled during the work, where the pool says so. */
async function cancellable<T>(call: StoredCall, input: S3Address, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { signal } = call.context;
    // The next attempt goes on with the job of a call that is handed over.
    if (signal.aborted && !(signal.reason instanceof HandedOver)) {
      // Without its input the job comes to nothing.
      if (call.objects.deleteInputs) call.context.checkpoint(null);
      void withoutInput(call, input);
    }
    throw error;
  }
}

/** Deletes an input that no job needs, where the pool says so. One that cannot be deleted now stays. */
async function withoutInput({ objects, store }: StoredCall, input: S3Address, signal?: AbortSignal): Promise<void> {
  if (!objects.deleteInputs) return;
  const until = signal ?? new AbortController().signal;
  await limited(DELETE_MS, until, (own) => store.remove(input, own)).catch(() => undefined);
}
