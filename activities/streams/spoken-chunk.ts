import type { Artifact } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import type { StageCall } from '../../pipelines/run/index.js';
import { spokenBy } from '../../pipelines/stages/index.js';
import type { StreamPosition } from '../../stores/channels/index.js';
import { pieceOf } from './listed-value.js';

/** A piece of a stage's audio: an entry of its channel `chunks`. */
export interface SpokenChunk {
  readonly audio: Artifact;
  /** What is spoken. */
  readonly text: string;
  /** Where it begins in the whole text, in UTF-16 units. */
  readonly at: number;
  /** Where the reader of the text goes on: number and hash of the entry behind it, and the generation of its channel. */
  readonly next: StreamPosition;
  /** What spoke it: a digest of kind, model and options. Absent: a worker of an earlier release made it. */
  readonly voice?: string;
  readonly usage?: Json;
}

/** Tells voices apart: two calls with the same kind, model and options, or input in their place, have the same one. */
export const voiceOf = ({ kind, model, with: options }: StageCall, input: JsonObject): string =>
  jsonHash([kind, model, spokenBy(options, input)]).slice(0, 16);

type Made = Pick<SpokenChunk, 'audio' | 'voice'>;

/** Whether a piece may have another format than the first one: another voice has made it, or its rate is known to be another. */
export const mayDiffer = (piece: Made, first: Made): boolean =>
  piece.voice !== first.voice || piece.audio.sampleRate !== first.audio.sampleRate;

export const otherVoice = ({ stage, model }: StageCall, spoken: number): MillraceError =>
  new MillraceError(
    'STREAM_CUT',
    `the audio broke off after ${spoken} sentences, and "${model}" has another voice; with onCut: 'fallback' it goes on`,
    { stage },
  );

/** The output and usage of a stage with these pieces, listed if they are read. */
export async function wholeOf(
  pieces: readonly [SpokenChunk, ...SpokenChunk[]],
  read: boolean,
  join: (audio: readonly [Artifact, ...Artifact[]]) => Promise<Artifact>,
): Promise<{ readonly output: JsonObject; readonly usage?: Record<string, number> }> {
  const [first, ...others] = pieces;
  const audio = await join([first.audio, ...others.map((piece) => piece.audio)]);
  const usage = usageOf(pieces);
  const output = {
    audio: { ...audio } as unknown as JsonObject,
    ...(read && { chunks: pieces.map((piece, i) => pieceOf(piece as unknown as JsonObject, i)) }),
  };
  return { output, ...(usage && { usage }) };
}

/** What all pieces have used together; undefined if none says. */
function usageOf(chunks: readonly SpokenChunk[]): Record<string, number> | undefined {
  const sums: Record<string, number> = {};
  for (const { usage } of chunks) {
    for (const [unit, amount] of Object.entries(isJsonObject(usage) ? usage : {}))
      if (typeof amount === 'number') sums[unit] = (sums[unit] ?? 0) + amount;
  }
  return Object.keys(sums).length > 0 ? sums : undefined;
}
