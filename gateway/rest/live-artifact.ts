import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { liveWav } from '../../media/index.js';
import { type Artifact, isArtifact } from '../../pipelines/artifact.js';
import { isJsonObject } from '../../pipelines/json.js';
import { waitForRun } from '../../runs/wait.js';
import { type ChannelLog, type ChannelName, readChannel } from '../../stores/channels/index.js';
import type { GatewayDeps } from '../deps.js';
import { leaving } from '../http/leaving.js';

/** Longest duration of one response, in milliseconds: a day. */
const LONGEST_MS = 24 * 3_600_000;

/** How long the rest of a run's audio is waited for when the run has ended, in milliseconds. */
const REST_MS = 2_000;

/** Last byte of a range whose end is not known: beyond any WAV file. */
const LAST_BYTE = 2 ** 32 - 1;

/** Parses `bytes=N-`: audio that is being made has no other ranges. */
const startOf = (header: string | undefined): number => Number(/^bytes=(\d{1,10})-$/.exec(header ?? '')?.[1] ?? 0);

/**
 * Sends audio of a run that is under way while it is made, as a WAV file of unknown length. `Range: bytes=N-` goes on
 * behind what was received; behind the header its bytes are those of the artifact that the run ends with.
 */
export async function sendLive(
  request: FastifyRequest,
  reply: FastifyReply,
  deps: GatewayDeps,
  { channels, name, tenant }: { readonly channels: ChannelLog; readonly name: ChannelName; readonly tenant: string },
): Promise<FastifyReply> {
  const start = startOf(request.headers.range);
  reply.type('audio/wav').headers({ 'cache-control': 'no-store', 'accept-ranges': 'bytes' });
  if (start > 0) reply.code(206).header('content-range', `bytes ${start}-${LAST_BYTE}/*`);
  if (request.method === 'HEAD') return reply.send();
  const leave = deps.streams.take(tenant);
  const over = new AbortController();
  const left = leaving(reply);
  left.addEventListener('abort', () => over.abort(), { once: true });
  const pieces = piecesOf(channels, name, over.signal);
  // A run that fails, or is cancelled, ends no stream.
  void waitForRun(deps, { id: name.run, tenant }, LONGEST_MS, over.signal).then(() =>
    setTimeout(() => over.abort(new Error('the run has ended')), REST_MS).unref(),
  );
  async function* bytes(): AsyncGenerator<Uint8Array, void> {
    let skip = start;
    try {
      for await (const chunk of liveWav(deps.artifacts, tenant, pieces)) {
        const part = chunk.subarray(Math.min(skip, chunk.length));
        skip -= chunk.length - part.length;
        if (part.length > 0) yield part;
      }
    } finally {
      over.abort();
      leave();
    }
  }
  return reply.send(Readable.from(bytes(), { objectMode: false }));
}

async function* piecesOf(channels: ChannelLog, name: ChannelName, signal: AbortSignal): AsyncGenerator<Artifact, void> {
  for await (const { value } of readChannel(channels, name, { signal })) {
    if (isJsonObject(value) && isArtifact(value.audio)) yield value.audio;
  }
}
