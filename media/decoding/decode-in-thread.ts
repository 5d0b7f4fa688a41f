import path from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { MillraceError } from '../../pipelines/errors.js';
import { FairSlots } from '../../runtime/fair-slots.js';
import { PACKAGE_ROOT } from '../../runtime/package-root.js';
import type { PcmFormat } from '../pcm.js';
import type { WavFormat } from '../wav-format.js';
import type { Answer, Job, Reply } from './messages.js';

/** The build's, also where the sources run: a thread loads JavaScript. */
const THREAD = path.join(PACKAGE_ROOT, 'dist', 'media', 'decoding', 'thread.js');

/** Longest time for a block, in milliseconds. It takes some; a machine that does much else may take seconds to start the thread. */
const BLOCK_MS = 60_000;
/** Heap of the thread; samples are outside of it. */
const HEAP_MEBIBYTES = 256;
/** Blocks that the thread has at once: the one that it works on, and the next one. */
const BLOCKS = 2;

/** A thread, and why it has ended. */
interface Thread {
  readonly worker: Worker;
  whyLost: string;
}

/** One for all files of the process, begun when the first one is decoded. It keeps no process alive. */
let latest: Thread | undefined;
/** Who gives the thread its next block. */
const turns = new FairSlots(BLOCKS, BLOCKS);

/** Whose file it is. */
interface Caller {
  /** Tenants take turns. */
  readonly tenant: string;
  /** Aborts while the file waits for its turn. */
  readonly signal: AbortSignal;
}

const NOBODY: Caller = { tenant: '', signal: new AbortController().signal };

/**
 * As `decodeChannels`, in a thread beside the event loop: to convert a second of audio takes up to 13 ms, which every other call of the
 * process would wait for. Tenants take turns, block by block, and so do the files of one tenant. Throws `INTERNAL` if the thread ends, or does not
 * answer within a minute; the next file then gets a new one.
 */
export async function* decodeInThread(
  bytes: AsyncIterable<Uint8Array>,
  wanted: PcmFormat,
  onFormat?: (format: WavFormat) => void,
  { tenant, signal }: Caller = NOBODY,
): AsyncGenerator<Float32Array[], void> {
  const source = bytes[Symbol.asyncIterator]();
  const { port1: port, port2 } = new MessageChannel();
  const asked = asking(port);
  let thread: Thread | undefined;
  const ask = (send: (to: Thread) => void) =>
    turns.use(tenant, signal, () => {
      // In its first turn: the thread that was there when it began to wait may have ended.
      thread ??= current();
      return asked(thread, send);
    });
  try {
    let reply = await ask(({ worker }) => worker.postMessage({ port: port2, wanted } satisfies Job, [port2]));
    for (;;) {
      if (reply.is === 'done') return;
      if (reply.is === 'failed') throw new MillraceError(reply.code ?? 'INTERNAL', reply.message);
      let answer: Answer;
      if (reply.is === 'samples') {
        if (reply.format) onFormat?.(reply.format);
        yield reply.channels;
      } else {
        const next = await source.next();
        answer = next.done ? undefined : next.value;
      }
      reply = await ask(() => port.postMessage(answer));
    }
  } finally {
    port.close();
    await source.return?.();
  }
}

/** The thread of now, which is started if there is none. */
function current(): Thread {
  latest ??= start();
  return latest;
}

function start(): Thread {
  const worker = new Worker(THREAD, {
    name: 'millrace-decoding',
    env: {},
    argv: [],
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MEBIBYTES },
  });
  const started: Thread = { worker, whyLost: '' };
  worker.unref();
  worker.on('error', (error: Error) => {
    started.whyLost = `: ${error.message}`;
  });
  worker.once('exit', () => forget(started));
  return started;
}

/** The next file gets a new thread. */
function forget(thread: Thread): void {
  if (latest === thread) latest = undefined;
}

/** Its files get the same error when their ports close. */
function end(thread: Thread): void {
  thread.whyLost = `: it did not answer within ${BLOCK_MS} ms`;
  forget(thread);
  void thread.worker.terminate();
}

/** Sends something and waits for the thread’s reply. */
function asking(port: MessagePort): (thread: Thread, send: (to: Thread) => void) => Promise<Reply> {
  let waiting: { resolve: (reply: Reply) => void; lost: () => void } | undefined;
  let isClosed = false;
  port.on('message', (reply: Reply) => waiting?.resolve(reply));
  port.on('close', () => {
    isClosed = true;
    waiting?.lost();
  });
  return async (thread, send) => {
    let late: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Reply>((resolve, reject) => {
        const isLost = () => {
          // Its exit may be reported after its ports have closed: the next file, whose turn comes first, must not get it.
          forget(thread);
          reject(lost(thread));
        };
        if (isClosed) return isLost();
        waiting = { resolve, lost: isLost };
        late = setTimeout(() => {
          end(thread);
          reject(lost(thread));
        }, BLOCK_MS);
        send(thread);
      });
    } finally {
      waiting = undefined;
      clearTimeout(late);
    }
  };
}

const lost = ({ whyLost }: Thread) =>
  new MillraceError('INTERNAL', `the thread that decodes audio has ended${whyLost}`);
