import { type MessagePort, parentPort } from 'node:worker_threads';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { decodeChannels } from '../pcm.js';
import type { WavFormat } from '../wav-format.js';
import type { Answer, Job, Reply } from './messages.js';

/* The thread that decodes long audio: files in turn, a block of each. */

parentPort?.on('message', ({ port, wanted }: Job) => void decode(port, wanted));

async function decode(port: MessagePort, wanted: Job['wanted']): Promise<void> {
  const ask = asking(port);
  async function* bytes(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const next = await ask({ is: 'bytes-wanted' });
      if (next === undefined) return;
      yield next;
    }
  }
  let format: WavFormat | undefined;
  try {
    const blocks = decodeChannels(bytes(), wanted, (found) => {
      format = found;
    });
    for await (const channels of blocks) {
      await ask({ is: 'samples', channels, format });
      format = undefined;
    }
    port.postMessage({ is: 'done' } satisfies Reply);
  } catch (error) {
    const code = error instanceof MillraceError ? error.code : undefined;
    port.postMessage({ is: 'failed', code, message: messageOf(error) } satisfies Reply);
  }
}

/** Sends a reply and waits for its answer. Throws once the other side has closed the port, which ends the decoding. */
function asking(port: MessagePort): (reply: Reply) => Promise<Answer> {
  let waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  let isClosed = false;
  port.on('message', (answer: Answer) => waiting?.resolve(answer));
  port.on('close', () => {
    isClosed = true;
    waiting?.reject(closed());
  });
  return (reply) =>
    new Promise((resolve, reject) => {
      if (isClosed) throw closed();
      waiting = { resolve, reject };
      port.postMessage(reply, owned(reply));
    });
}

const closed = () => new Error('the samples are not wanted any more');

/** The memory that a reply can be sent with instead of a copy: of samples that are not part of a larger memory. */
const owned = (reply: Reply): ArrayBuffer[] =>
  reply.is === 'samples'
    ? [
        ...new Set(
          reply.channels
            .filter(({ buffer, byteLength }) => buffer.byteLength === byteLength)
            .map(({ buffer }) => buffer as ArrayBuffer),
        ),
      ]
    : [];
