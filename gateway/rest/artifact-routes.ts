import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { extensionOf, GIVEN_FORMATS } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import { artifactNamed } from '../../runs/document.js';
import { liveAudioOf } from '../../runs/live-audio.js';
import { readPaced } from '../../runs/paced-runs.js';
import type { RunRecord } from '../../runs/read.js';
import { readRecorded } from '../../runs/recorded.js';
import { type Caller, callerOf, TENANT_HEADER } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { leaving } from '../http/leaving.js';
import { audioAsMade } from '../http/live-audio.js';
import { OF_RUNS } from '../openapi/problems.js';
import type { ContentDoc, RouteDoc } from '../openapi/route-doc.js';
import { parseRange } from './byte-range.js';
import { artifactAtEnd, expectPlace, formatOf, noteConversion, sendLive } from './live-artifact.js';
import { ID } from './run-docs.js';

const HEADERS = { ETag: 'The artifact’s SHA-256', 'Accept-Ranges': '`bytes`', 'Content-Disposition': 'A file name' };
const BYTES: ContentDoc = Object.fromEntries(
  ['audio/*', 'image/*', 'application/octet-stream'].map((type) => [
    type,
    { schema: { type: 'string', format: 'binary' } },
  ]),
);
const DOC: RouteDoc = {
  tag: 'artifacts',
  operation: 'getArtifact',
  summary: 'Get the bytes of a media field of a run',
  path: { ...ID, name: { description: 'Path of the field: `speech`, `parts.0`, or `input.speech`' } },
  query: {
    format: {
      description:
        'Format in which audio is sent. By default audio of a run in progress is sent as WAV, and other media as they are stored',
      schema: { type: 'string', enum: Object.keys(GIVEN_FORMATS) },
    },
  },
  headers: {
    Range: { description: 'One range of bytes (RFC 9110 §14)', example: 'bytes=0-1023' },
    'If-Range': { description: 'Applies `Range` only if the ETag matches' },
    'If-None-Match': { description: 'ETags of the caller’s cached copies' },
  },
  answers: {
    200: { description: 'The whole artifact', content: BYTES, headers: HEADERS },
    206: {
      description: 'The range',
      content: BYTES,
      headers: { ...HEADERS, 'Content-Range': 'The range and the total length' },
    },
    304: { description: 'Not modified', headers: HEADERS },
  },
  problems: [
    ...OF_RUNS,
    'INVALID_INPUT',
    'CONVERSION_UNAVAILABLE',
    'TOO_MANY_STREAMS',
    'ARTIFACT_NOT_FOUND',
    'RANGE_NOT_SATISFIABLE',
    'STORE_UNAVAILABLE',
    'ARTIFACT_CORRUPT',
  ],
};

type Named = { Params: { id: string; name: string } };

/**
 * `GET` and `HEAD /v1/runs/{id}/artifacts/{name}`: the bytes of a media field of a run's output, or of its input with
 * the name `input.<field>`. Supports a single range, `If-Range` and `If-None-Match` (RFC 9110 §13, §14). The ETag is
 * the artifact's sha256, so responses can be cached for ever.
 */
export async function artifactRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  app.route<Named>({
    method: ['GET', 'HEAD'],
    config: { doc: DOC },
    url: '/v1/runs/:id/artifacts/:name',
    handler: async (request, reply) => {
      const { id, name } = request.params;
      request.notes.runId = id;
      const format = formatOf(request.query);
      const caller = callerOf(request);
      const conversion = format && { tenant: caller.tenant, run: id, name, format };
      if (conversion && request.method === 'GET') expectPlace(deps, conversion);
      const signal = leaving(reply);
      let run = await readPaced(deps, id, caller, { signal });
      let artifact = artifactNamed(name, run);
      const running = run.document.status === 'running';
      const live = artifact === undefined && running && deps.channels && (await liveAudioOf(deps, id, name));
      if (live && deps.channels) {
        const { channels } = deps;
        const { tenant } = caller;
        const ended = artifactAtEnd(deps, { id, name, caller, signal });
        ended.catch(() => undefined);
        const audio = audioAsMade({ channels, name: live, tenant, ended, signal });
        return await sendLive(request, reply, deps, { audio, format: format ?? 'wav', signal });
      }
      // A caller may have a result before Temporal has recorded it.
      if (artifact === undefined && running) {
        run = await recorded(deps, run, caller);
        artifact = artifactNamed(name, run);
      }
      if (artifact === undefined) throw noArtifact(name, run.document.status === 'running');
      const stored = await deps.artifacts.stat(caller.tenant, artifact.uri);
      const { mime, bytes } = stored;
      if (format !== undefined && mime !== GIVEN_FORMATS[format].mime) {
        if (!mime.startsWith('audio/')) throw noAudio(name, mime);
        if (conversion) noteConversion(conversion);
        const audio = { tenant: caller.tenant, pieces: nothing(), whole: async () => stored, stored: true };
        return await sendLive(request, reply, deps, { audio, format, signal });
      }
      return await send(request, reply, deps, caller.tenant, { ...artifact, mime, bytes }, fileName(name, mime));
    },
  });
}

async function* nothing(): AsyncGenerator<never, void> {}

function noAudio(name: string, mime: string): MillraceError {
  const message = `"${name}" is ${mime}: only audio is converted`;
  return new MillraceError('INVALID_INPUT', `format: ${message}`, { fields: [{ field: 'format', message }] });
}

/** As `readRecorded`, which may wait: a wait like any other, of which a tenant may have a limited number at once. */
async function recorded(deps: GatewayDeps, run: RunRecord, caller: Caller): Promise<RunRecord> {
  const leave = deps.streams.take(caller.tenant);
  try {
    return await readRecorded(deps, run, caller);
  } finally {
    leave();
  }
}

async function send(
  request: FastifyRequest,
  reply: FastifyReply,
  deps: GatewayDeps,
  tenant: string,
  { uri, sha256, mime, bytes }: Artifact,
  file: string,
): Promise<FastifyReply> {
  const tag = `"${sha256}"`;
  reply.headers({
    etag: tag,
    'accept-ranges': 'bytes',
    'cache-control': 'private, max-age=31536000, immutable',
    vary: `${TENANT_HEADER}, authorization, x-api-key`,
    'content-disposition': `inline; filename="${file}"`,
    'x-content-type-options': 'nosniff',
    // A stage may store any type: a page of it must not act as one of the gateway's.
    'content-security-policy': "sandbox; default-src 'none'",
  });
  if (matches(request.headers['if-none-match'], tag)) return reply.code(304).send();
  const range = rangeOf(request, reply, tag, bytes);
  reply.type(mime).header('content-length', range ? range.end - range.start + 1 : bytes);
  if (range) reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${bytes}`);
  if (request.method === 'HEAD') return reply.send();
  return reply.send(Readable.from(deps.artifacts.read(tenant, uri, range), { objectMode: false }));
}

function rangeOf(request: FastifyRequest, reply: FastifyReply, tag: string, bytes: number) {
  const condition = request.headers['if-range'];
  if (request.method !== 'GET' || (condition !== undefined && condition !== tag)) return undefined;
  try {
    return parseRange(request.headers.range, bytes);
  } catch (error) {
    reply.header('content-range', `bytes */${bytes}`);
    throw error;
  }
}

/** Weak comparison with each tag of the list. */
const matches = (header: string | undefined, tag: string): boolean =>
  header?.split(',').some((entry) => entry.trim() === '*' || entry.trim().replace(/^W\//, '') === tag) ?? false;

const fileName = (name: string, mime: string): string => `${name.replace(/[^\w.-]/g, '_')}${extensionOf(mime)}`;

function noArtifact(name: string, running: boolean): MillraceError {
  const message = `the run has no artifact "${name}"${running ? ' yet: it is still running' : ''}`;
  return new MillraceError('ARTIFACT_NOT_FOUND', message, { fields: [{ field: 'name', message }] });
}
