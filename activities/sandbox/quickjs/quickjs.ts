import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { MillraceError, messageOf } from '../../../pipelines/errors.js';
import type { Json } from '../../../pipelines/json.js';
import { PACKAGE_ROOT } from '../../../runtime/package-root.js';
import { parseJson } from '../../connectors/json-values.js';
import { type Outcome, type Program, type Sandbox, tooLate, tooMuchMemory } from '../sandbox.js';
import type { Engine, Message, Order, Reply } from './messages.js';

/** The build's, also where the sources run: a thread loads JavaScript. */
const THREAD = path.join(PACKAGE_ROOT, 'dist', 'activities', 'sandbox', 'quickjs', 'thread.js');

/** A machine that does much else may take seconds to start a thread. */
const START_MS = 30_000;
/** How long the interpreter has, after the code's time, to notice it and to hand over what was printed. */
const GRACE_MS = 2_000;

/** Of the thread's own heap, beside the memory of the code: the outputs of a call, and the packages. */
const HEAP_MEBIBYTES = 128;
/** So that QuickJS finds too deep a recursion before its thread has no stack left; pages that are not used take no memory. */
const STACK_MEBIBYTES = 16;

const nothing = (error: string): Reply => ({ stdout: '', files: [], error });

/**
 * JavaScript in QuickJS, compiled to WebAssembly. Each call has a thread, an instance and a memory of its own, which end with it: whatever
 * the code does to its interpreter, no other call has it. The context has no function of the host.
 */
export class QuickJsSandbox implements Sandbox {
  readonly languages = ['javascript'];
  readonly #engine: Engine;
  readonly #threads = new Set<Worker>();
  #closed = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async run({ code, files, limits, signal }: Program): Promise<Outcome> {
    signal.throwIfAborted();
    if (this.#closed) throw new MillraceError('SANDBOX_UNAVAILABLE', 'the worker is shutting down');
    const order: Order = { engine: this.#engine, code, files, limits };
    const thread = new Worker(THREAD, {
      workerData: order,
      name: 'millrace-sandbox',
      env: {},
      argv: [],
      execArgv: [],
      stdout: true,
      stderr: true,
      resourceLimits: {
        maxOldGenerationSizeMb: HEAP_MEBIBYTES,
        maxYoungGenerationSizeMb: HEAP_MEBIBYTES / 4,
        stackSizeMb: STACK_MEBIBYTES,
      },
    });
    // What the thread prints does not come from the code. Unread, it would stay in memory.
    thread.stdout.resume();
    thread.stderr.resume();
    this.#threads.add(thread);
    try {
      return outcomeOf(await replyOf(thread, order, signal));
    } finally {
      // Also in the middle of a loop. The call's place is free when the thread is gone.
      await thread.terminate();
      this.#threads.delete(thread);
    }
  }

  /** Ends the calls in progress: they throw `SANDBOX_UNAVAILABLE`. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#threads].map((thread) => thread.terminate()));
  }
}

/** The thread's last message, or why there is none. */
function replyOf(thread: Worker, { limits }: Order, signal: AbortSignal): Promise<Reply> {
  return new Promise<Reply>((resolve, reject) => {
    const failed = (message: string) => reject(new MillraceError('SANDBOX_UNAVAILABLE', message));
    const ended = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
    };
    const leave = () => {
      ended();
      reject(signal.reason);
    };
    let begun = false;
    let timer = setTimeout(() => {
      ended();
      failed(`the thread of a sandbox did not start within ${START_MS} ms`);
    }, START_MS);
    signal.addEventListener('abort', leave, { once: true });
    thread.on('message', (message: Message) => {
      if (message !== 'begun') {
        ended();
        return resolve(message);
      }
      begun = true;
      clearTimeout(timer);
      timer = setTimeout(() => {
        ended();
        resolve(nothing(tooLate(limits.timeMs)));
      }, limits.timeMs + GRACE_MS);
    });
    thread.on('error', (error: NodeJS.ErrnoException) => {
      ended();
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY' && begun)
        return resolve(nothing(tooMuchMemory(limits.memoryBytes)));
      failed(`the thread of a sandbox failed: ${messageOf(error)}`);
    });
    thread.on('exit', () => {
      ended();
      failed('the thread of a sandbox ended early');
    });
  });
}

function outcomeOf({ json, stdout, files, error }: Reply): Outcome {
  const given = { stdout, files };
  if (json === undefined) return { ...given, ...(error !== undefined && { error }) };
  try {
    const result: Json = parseJson(json, (problem) => new MillraceError('INVALID_OUTPUT', `the result’s ${problem}`));
    return { ...given, result, ...(error !== undefined && { error }) };
  } catch (thrown) {
    return { ...given, error: error ?? messageOf(thrown) };
  }
}
