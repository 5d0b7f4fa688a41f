import type { MessagePort } from 'node:worker_threads';
import type { ErrorCode } from '../../pipelines/errors.js';
import type { PcmFormat } from '../pcm.js';
import type { WavFormat } from '../wav-format.js';

/** A file to decode. The two sides take turns: each reply of the thread is answered by one message. */
export interface Job {
  readonly port: MessagePort;
  readonly wanted: PcmFormat;
}

/** What the thread has: a block of samples, or a wish for more of the file, or nothing more. */
export type Reply =
  | { readonly is: 'samples'; readonly channels: Float32Array[]; readonly format?: WavFormat | undefined }
  | { readonly is: 'bytes-wanted' }
  | { readonly is: 'done' }
  | { readonly is: 'failed'; readonly code: ErrorCode | undefined; readonly message: string };

/** The next bytes of the file, undefined at its end; to a block, undefined too. */
export type Answer = Uint8Array | undefined;
