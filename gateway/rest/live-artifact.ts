import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { GIVEN_FORMATS, type GivenFormat, type LiveAudio } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import { keepNewest } from '../../pipelines/keep-newest.js';
import type { Caller } from '../../runs/caller.js';
import { artifactNamed, withoutPlace } from '../../runs/document.js';
import { failureOf } from '../../runs/failed.js';
import { readPaced } from '../../runs/paced-runs.js';
import type { RunRecord } from '../../runs/read.js';
import { waitForRun } from '../../runs/wait.js';
import type { GatewayDeps } from '../deps.js';

/** Longest duration of one response, in milliseconds: a day. */
const LONGEST_MS = 24 * 3_600_000;

/** Last byte of a range whose end is not known: beyond any file that is made live. */
const LAST_BYTE = 2 ** 32 - 1;

/**
 * Most audio that waits for a slow client, in bytes: up to this it occupies no process of ffmpeg when the run has ended. Less where
 * the tenant's responses hold much memory already.
 */
const MOST_WAITING_BYTES = { usual: 4 * 1024 * 1024, least: 64 * 1024 };

const isFormat = (format: unknown): format is GivenFormat =>
  typeof format === 'string' && Object.hasOwn(GIVEN_FORMATS, format);

/** The `format` of a query. Throws `INVALID_INPUT`. */
export function formatOf(query: unknown): GivenFormat | undefined {
  const { format } = (query ?? {}) as { readonly format?: unknown };
  if (format === undefined || isFormat(format)) return format;
  const message = `must be one of ${Object.keys(GIVEN_FORMATS).join(', ')}, not ${JSON.stringify(format)}`;
  throw new MillraceError('INVALID_INPUT', `format: ${message}`, { fields: [{ field: 'format', message }] });
}

/** Parses `bytes=N-`: audio that is being made has no other ranges. */
const startOf = (header: string | undefined): number => Number(/^bytes=(\d{1,10})-$/.exec(header ?? '')?.[1] ?? 0);

/**
 * Sends audio while it is made, or in another format than it is stored in: a file of unknown length. `Range: bytes=N-`
 * goes on behind what was received: the same audio gives the same bytes, whether it is still being made or not, but for
 * the header of a WAV file, which states the length as soon as there is one.
 */
export async function sendLive(
  request: FastifyRequest,
  reply: FastifyReply,
  deps: GatewayDeps,
  { audio, format, signal }: { readonly audio: LiveAudio; readonly format: GivenFormat; readonly signal: AbortSignal },
): Promise<FastifyReply> {
  const start = startOf(request.headers.range);
  reply
    .type(GIVEN_FORMATS[format].mime)
    .headers({ 'cache-control': 'no-store', 'accept-ranges': 'bytes', 'x-content-type-options': 'nosniff' });
  const partly = () => {
    if (start > 0) reply.code(206).header('content-range', `bytes ${start}-${LAST_BYTE}/*`);
  };
  if (request.method === 'HEAD') {
    partly();
    return reply.send();
  }
  await deps.encoder.require(format);
  // The bytes for a client that has disconnected are never begun, so their end releases no slot: the signal does, and a
  // signal that has aborted tells no one.
  if (signal.aborted) throw new MillraceError('REQUEST_ABORTED', 'the client disconnected before the audio was sent');
  const leave = deps.streams.take(audio.tenant);
  signal.addEventListener('abort', leave, { once: true });
  const given = deps.encoder.live(audio, format, signal);
  if (given === undefined) {
    leave();
    throw tooMuch(format);
  }
  partly();
  async function* bytes(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    let skip = start;
    try {
      for await (const chunk of chunks) {
        const part = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - part.length;
        if (part.length > 0) yield part;
      }
    } finally {
      leave();
    }
  }
  const { usual, least } = MOST_WAITING_BYTES;
  const highWaterMark = (request.response?.takeBuffer(usual) ?? true) ? usual : least;
  return reply.send(Readable.from(bytes(given.chunks), { objectMode: false, highWaterMark }));
}

/** Stored files that were converted, by tenant, run, name and format: the latest ones. */
const converted = new Map<string, true>();
const MOST_CONVERTED = 10_000;

interface Conversion {
  readonly tenant: string;
  readonly run: string;
  readonly name: string;
  readonly format: GivenFormat;
}

const keyOf = ({ tenant, run, name, format }: Conversion) => JSON.stringify([tenant, run, name, format]);

/** To be called when a stored file is to be converted. */
export function noteConversion(conversion: Conversion): void {
  const key = keyOf(conversion);
  converted.delete(key);
  converted.set(key, true);
  keepNewest(converted, MOST_CONVERTED);
}

/**
 * Throws `TOO_MANY_STREAMS` for a file that has been converted before, where the tenant has as many of them open as it may: to read its run again costs more than
 * to refuse it.
 */
export function expectPlace(deps: GatewayDeps, conversion: Conversion): void {
  if (deps.encoder.isFull(conversion.tenant) && converted.has(keyOf(conversion))) throw tooMuch(conversion.format);
}

const tooMuch = (format: GivenFormat) =>
  new MillraceError('TOO_MANY_STREAMS', `too much audio is being encoded as ${format} at once`, {
    retryAfterMs: 1_000,
  });

/** Pause before a run whose end Temporal did not report is waited for again, in milliseconds. */
const AGAIN_MS = 1_000;

/**
 * An artifact of a run when it has ended. While Temporal is unavailable it waits on: the audio that is being made is independent of it.
 * Throws the run's failure, `ARTIFACT_NOT_FOUND`, and `ORCHESTRATOR_UNAVAILABLE` after a day.
 */
export async function artifactAtEnd(
  deps: GatewayDeps,
  {
    id,
    name,
    caller,
    signal,
  }: { readonly id: string; readonly name: string; readonly caller: Caller; readonly signal: AbortSignal },
): Promise<Artifact> {
  const run = await endedRun(deps, id, caller, signal);
  const artifact = artifactNamed(name, run);
  if (artifact !== undefined) return artifact;
  if (run.document.status !== 'succeeded') throw failureOf(withoutPlace(run.document));
  throw new MillraceError('ARTIFACT_NOT_FOUND', `the run has no artifact "${name}"`);
}

async function endedRun(deps: GatewayDeps, id: string, caller: Caller, signal: AbortSignal): Promise<RunRecord> {
  const until = performance.now() + LONGEST_MS;
  for (;;) {
    const left = until - performance.now();
    if (left <= 0) throw new MillraceError('ORCHESTRATOR_UNAVAILABLE', 'Temporal did not report the end of the run');
    await waitForRun(deps, { id, tenant: caller.tenant }, left, signal);
    signal.throwIfAborted();
    const run = await readPaced(deps, id, caller, { waits: 'no' }).catch((error: unknown) => {
      if (error instanceof MillraceError && error.code === 'ORCHESTRATOR_UNAVAILABLE') return undefined;
      throw error;
    });
    if (run && run.document.status !== 'running') return run;
    await sleep(AGAIN_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
