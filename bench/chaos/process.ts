import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { STACK_MARK } from '../../deploy/local/stack/marks.js';
import { CLI_MAIN } from '../../deploy/local/stack/paths.js';

import { environment, settings } from './settings.js';

/** Start-up limit: neither process bundles anything, but both share two cores with models that load. */
const START_MS = 60_000;
const PROBE_MS = 100;

export interface ChaosProcessOptions {
  readonly name: string;
  readonly role: 'worker' | 'gateway';
  readonly env: Readonly<Record<string, string>>;
  /** Answers 200 when the process accepts work. */
  readonly probe: string;
  /** Called with each failed attempt of a stage in its log. */
  readonly onFailedAttempt?: (stage: string, code: string) => void;
  /** The stack that it belongs to. Default: that of the chaos suite. */
  readonly stack?: { readonly home: string; readonly environment: Readonly<Record<string, string>> };
}

/** A worker or a gateway in a process of its own, to be killed and restarted. */
export class ChaosProcess {
  readonly name: string;
  readonly #options: ChaosProcessOptions;
  readonly #stack: { readonly home: string; readonly environment: Readonly<Record<string, string>> };
  #env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  #ready = false;
  #killing = false;
  #died: string | undefined;

  constructor(options: ChaosProcessOptions) {
    this.name = options.name;
    this.#options = options;
    this.#env = options.env;
    this.#stack = options.stack ?? { home: settings.MILLRACE_HOME, environment };
  }

  /** Undefined before its start. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** How it ended without being killed; an unexpected end is a bug, whatever happens to the runs. */
  get died(): string | undefined {
    return this.#died;
  }

  /**
   * Resolves when it accepts work.
   * @param more settings from now on
   */
  async start(more: Readonly<Record<string, string>> = {}): Promise<void> {
    const { role, probe } = this.#options;
    this.#env = { ...this.#env, ...more };
    const child = spawn(process.execPath, ['--enable-source-maps', CLI_MAIN, role], {
      env: {
        ...process.env,
        ...this.#stack.environment,
        ...this.#env,
        // `millrace down` also ends it if this process is gone.
        [STACK_MARK]: this.#stack.home,
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
      const answer = await fetch(probe).catch(() => undefined);
      this.#ready = answer?.ok ?? false;
      if (this.#ready) return;
      await sleep(PROBE_MS);
    }
    throw new Error(`${this.name} did not start: see ${this.#logFile}`);
  }

  /** SIGKILL, without a chance to clean up. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** As a service manager does it: work in progress may end. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#ready = false;
    this.#killing = true;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  get #logFile(): string {
    return path.join(this.#stack.home, 'logs', `${this.name}.log`);
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
      this.#options.onFailedAttempt?.(stage, code);
    });
  }
}
