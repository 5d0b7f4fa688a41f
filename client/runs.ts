import type { JsonObject } from '../pipelines/json.js';
import type { RunDocument } from '../pipelines/run/document.js';
import type { RunEvent } from '../pipelines/run/index.js';
import type { Received } from './values.js';

/** How audio is received. */
export interface AudioOptions {
  /** Default: as it is stored; WAV while it is made. `pcm`: 24 kHz, 16 bits, mono, without a header. */
  readonly format?: 'wav' | 'mp3' | 'opus' | 'flac' | 'aac' | 'pcm';
  readonly signal?: AbortSignal;
}

/** A run whose output has the type of its pipeline. */
export type Run<O = JsonObject> = Omit<RunDocument, 'output'> & { readonly output?: Received<O> };
/** A run that has succeeded. */
export type SucceededRun<O = JsonObject> = Run<O> & { readonly status: 'succeeded'; readonly output: Received<O> };

/** An event of a run; the last one is the run itself. */
export type ClientEvent<O = JsonObject> = RunEvent | { readonly type: 'run'; readonly run: Run<O> };
