import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { type Answer as LlmAnswer, type LlmProgram, LlmServer } from './llm-server.js';

/** What a variant took for some inputs. */
export interface Answer {
  /** Of the runtime alone, for all inputs together. */
  readonly ms: number;
  /** Texts, seconds of audio, or tokens. */
  readonly units: number;
  readonly outputs: readonly Json[];
  /** Of an LLM: the part for the prompt, and the tokens of both parts. */
  readonly prompt?: { readonly ms: number; readonly tokens: number };
}

/** A variant that is loaded, in a process of its own. */
export interface Runner {
  /**
   * Throws `PROFILE_UNMEASURED`.
   * @param timed only the time counts: an LLM makes answers of one length, since variants end theirs at different words
   */
  answer(inputs: readonly string[], timed?: boolean): Promise<Answer>;
  /** Resident memory of the process. */
  memoryMiB(): number;
  stop(): Promise<void>;
}

/** Loading compiles a graph, and takes seconds; a call that takes longer than this is not worth measuring. */
const READY_MS = 180_000;
const ANSWER_MS = 180_000;
const LAST_WORDS_MS = 1_000;
/** End of the program's errors that a message quotes. */
const QUOTED = 600;

const unmeasured = (message: string): MillraceError => new MillraceError('PROFILE_UNMEASURED', message);

/** The resident memory of a process, as Linux counts it; NaN without such a process. */
function residentMiB(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024);
  } catch {
    return Number.NaN;
  }
}

/** `serve.py` with one variant: a request and its answer are lines of JSON. */
export class PythonRunner implements Runner {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #name: string;
  readonly #lines: AsyncIterator<string>;
  #errors = '';
  readonly #kill = () => void this.#child.kill('SIGKILL');

  private constructor(child: ChildProcessWithoutNullStreams, name: string) {
    this.#child = child;
    this.#name = name;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-QUOTED);
    });
    child.stdin.on('error', () => undefined);
    child.on('error', (error) => {
      this.#errors += error.message;
    });
    process.once('exit', this.#kill);
  }

  static async start(python: string, script: string, name: string, spec: JsonObject): Promise<PythonRunner> {
    const env = { ...process.env, PYTHONNOUSERSITE: '1', OPENBLAS_NUM_THREADS: '1', CUDA_VISIBLE_DEVICES: '' };
    const runner = new PythonRunner(spawn(python, ['-I', '-B', script, JSON.stringify(spec)], { env }), name);
    try {
      await runner.#line(READY_MS);
      return runner;
    } catch (error) {
      await runner.stop();
      throw error;
    }
  }

  async answer(inputs: readonly string[]): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify({ inputs })}\n`);
    const { ms, units, outputs } = await this.#line(ANSWER_MS);
    return { ms: Number(ms), units: Number(units), outputs: outputs as readonly Json[] };
  }

  async #line(withinMs: number): Promise<JsonObject> {
    const timer = setTimeout(this.#kill, withinMs);
    try {
      const { value, done } = await this.#lines.next();
      if (done) {
        // What it says of its end may come after its output has ended.
        await Promise.race([once(this.#child, 'close'), sleep(LAST_WORDS_MS)]);
        throw unmeasured(`${this.#name}: the process ended: ${this.#errors.trim() || 'without a message'}`);
      }
      const answer = JSON.parse(value as string) as JsonObject;
      if (typeof answer.error === 'string') throw unmeasured(`${this.#name}: ${answer.error}`);
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  memoryMiB(): number {
    return residentMiB(this.#child.pid);
  }

  async stop(): Promise<void> {
    process.off('exit', this.#kill);
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }
}

/** Tokens of an answer: enough for a sentence or two. */
const ANSWER_TOKENS = 48;

/** The embedded LLM server with one variant. */
export class LlmRunner implements Runner {
  readonly #server: LlmServer;

  private constructor(server: LlmServer) {
    this.#server = server;
  }

  static async start(program: LlmProgram, weights: string, threads: number): Promise<LlmRunner> {
    const more = ['--threads', String(threads)];
    return new LlmRunner(await LlmServer.start(program, weights, await freePort(), more));
  }

  /** One prompt after the other. */
  async answer(inputs: readonly string[], timed = false): Promise<Answer> {
    const all: LlmAnswer[] = [];
    for (const input of inputs) all.push(await this.#server.answer(input, ANSWER_TOKENS, timed));
    const sum = (of: (each: LlmAnswer) => number) => all.reduce((total, each) => total + of(each), 0);
    return {
      ms: sum(({ ms, promptMs }) => ms + promptMs),
      units: sum(({ tokens }) => tokens),
      outputs: all.map(({ text }) => text),
      prompt: { ms: sum(({ promptMs }) => promptMs), tokens: sum(({ promptTokens }) => promptTokens) },
    };
  }

  memoryMiB(): number {
    return residentMiB(this.#server.pid);
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}

/** A port that nothing listens on now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const RUN_MS = 10 * 60_000;
const MOST_OUTPUT = 16 * 2 ** 20;

/**
 * Runs a script of the embedded servers to its end, with a request on its standard input. Throws `PROFILE_UNMEASURED`, and kills it when
 * the signal aborts.
 */
export async function runScript(
  python: string,
  script: string,
  request: JsonObject,
  signal?: AbortSignal,
): Promise<string> {
  const child = spawn(python, ['-I', '-B', script], {
    ...{ timeout: RUN_MS, killSignal: 'SIGKILL' as const },
    ...(signal && { signal }),
  });
  let [output, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(0, MOST_OUTPUT);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-QUOTED);
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(request));
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      errors += error.message;
      resolve(null);
    });
    child.once('close', resolve);
  });
  if (code === 0) return output;
  signal?.throwIfAborted();
  throw unmeasured(
    `${path.basename(script)} ${String(request.op ?? '')}: ${errors.trim() || 'ended without a message'}`,
  );
}
