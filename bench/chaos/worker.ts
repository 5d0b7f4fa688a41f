import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLI_MAIN } from '../../workers/stack/package-root.js';
import { STACK_MARK } from '../../workers/stack/process-identity.js';
import { environment, METRICS_PORTS, PROXY_PORTS, settings } from './settings.js';

/** A worker bundles nothing when it starts, but shares two cores with models that load. */
const START_MS = 60_000;
const PROBE_MS = 100;

/** A failed attempt of a stage as the worker's log tells it. */
export type OnFailedAttempt = (stage: string, code: string) => void;

/** One worker in a process of its own, to be killed and started again. */
export class ChaosWorker {
  readonly name: keyof typeof METRICS_PORTS;
  readonly #onFailedAttempt: OnFailedAttempt;
  #child: ChildProcess | undefined;
  #ready = false;
  #killing = false;
  #died: string | undefined;

  constructor(name: keyof typeof METRICS_PORTS, onFailedAttempt: OnFailedAttempt) {
    this.name = name;
    this.#onFailedAttempt = onFailedAttempt;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** How it ended without being killed; a worker that dies by itself is a bug, whatever becomes of the runs. */
  get died(): string | undefined {
    return this.#died;
  }

  /** Resolves when the worker takes work. */
  async start(): Promise<void> {
    const port = METRICS_PORTS[this.name];
    const child = spawn(process.execPath, ['--enable-source-maps', CLI_MAIN, 'worker'], {
      env: {
        ...process.env,
        ...environment,
        TRITON_URL: `127.0.0.1:${PROXY_PORTS.triton}`,
        LLM_BASE_URL: `http://127.0.0.1:${PROXY_PORTS.llm}/v1`,
        MILLRACE_WORKER_METRICS_PORT: String(port),
        // The stack's `down` ends it too, should this process be gone.
        [STACK_MARK]: settings.MILLRACE_HOME,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#killing = false;
    child.once('exit', (code, signal) => {
      this.#ready = false;
      if (!this.#killing) this.#died = `${this.name} ended by itself (${signal ?? code}): see ${this.#logFile}`;
    });
    this.#follow(child);
    const until = Date.now() + START_MS;
    while (Date.now() < until && child.exitCode === null && child.signalCode === null) {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
      this.#ready = answer?.ok ?? false;
      if (this.#ready) return;
      await sleep(PROBE_MS);
    }
    throw new Error(`${this.name} did not start: see ${this.#logFile}`);
  }

  /** Without time to say anything to anybody. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#ready = false;
    this.#killing = true;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  get #logFile(): string {
    return path.join(settings.MILLRACE_HOME, 'logs', `${this.name}.log`);
  }

  #follow(child: ChildProcess): void {
    mkdirSync(path.dirname(this.#logFile), { recursive: true });
    const log = createWriteStream(this.#logFile, { flags: 'a' });
    child.stderr?.pipe(log);
    if (child.stdout === null) return;
    child.stdout.pipe(log);
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.includes('"stage attempt failed"')) return;
      const { stage = '', code = '' } = JSON.parse(line) as { stage?: string; code?: string };
      this.#onFailedAttempt(stage, code);
    });
  }
}
