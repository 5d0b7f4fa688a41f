import { MillraceError } from '../../pipelines/errors.js';
import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { channelOfCall } from '../../pipelines/run/channel-path.js';
import { channelTtlMs } from '../../pipelines/run/channel-ttl.js';
import type { StageCall } from '../../pipelines/run/index.js';
import { ChannelWriter } from '../../stores/channels/index.js';
import type { Attempt } from '../stage/serving.js';
import { listedValue } from './listed-value.js';
import { opened } from './opening.js';
import type { ProducingParts } from './produce.js';

interface Output {
  readonly output: JsonObject;
}

/** The outcome of a voice with its audio as the only piece, if its pieces are not listed. */
export function inOnePiece<T extends Output>(served: T, text: Json = ''): T {
  const { audio = null, chunks } = served.output;
  if (Array.isArray(chunks)) return served;
  const whole = Array.isArray(text) ? text.join(' ') : String(text ?? '');
  return { ...served, output: { ...served.output, chunks: [{ audio, number: 0, text: whole, at: 0 }] } };
}

/**
 * Passes on, as the stream `chunks`, the listed pieces of audio that was not made for it: in one call, or in a run that this one resumes.
 * What an earlier attempt has committed must be the same: `STREAM_CUT`. Throws `STREAM_LOST`.
 */
export async function passOnPieces<T extends Output>(
  { channels }: Pick<ProducingParts, 'channels'>,
  { call, attempt }: { readonly call: StageCall; readonly attempt: Attempt },
  served: T,
): Promise<T> {
  const { run, signal, begunAt } = attempt;
  const name = { run, path: channelOfCall(call), of: 'chunks' };
  const own = { signal, ttlMs: channelTtlMs(call), begunAt };
  const writer = await opened(attempt, (patient) => ChannelWriter.open(channels, name, { ...own, patient }));
  try {
    const { values, end } = writer.before;
    if (end?.outcome !== undefined) return end.outcome as unknown as T;
    const { chunks } = served.output;
    const pieces = (Array.isArray(chunks) ? chunks : []) as readonly Json[];
    const same = (value: Json, i: number) =>
      canonicalJson(listedValue('chunks', value, i) ?? null) === canonicalJson(pieces[i] ?? null);
    if (values.length > pieces.length || !values.every(same)) throw cut(call, values.length);
    const rest = pieces.slice(values.length).map((piece, i) => asEntry(piece, values.length + i + 1));
    await writer.end({ as: 'done', outcome: served as unknown as Json }, ...rest);
    return served;
  } finally {
    writer.close();
  }
}

/** With the position of the text behind it, as `SpokenChunk` has it: of a text that is no stream. */
const asEntry = (piece: Json, number: number): Json =>
  isJsonObject(piece) ? { ...piece, next: { number, hash: '' } } : piece;

const cut = ({ stage }: StageCall, count: number): MillraceError =>
  new MillraceError(
    'STREAM_CUT',
    `the audio broke off after ${count} sentences that have been read, and another attempt made other pieces of it`,
    { stage },
  );
