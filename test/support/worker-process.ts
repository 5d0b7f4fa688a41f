import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.js';
import { ofTheStack, testEnvironment } from './settings.js';

const CLI = 'dist/cli/main.js';
/** Some seconds on an idle machine. */
const START_MS = 180_000;

/** A worker of the build in a process of its own, to be killed. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly metricsUrl: string;
  readonly logFile: string;

  private constructor(child: ChildProcess, port: number, logFile: string) {
    this.#child = child;
    this.logFile = logFile;
    this.metricsUrl = `http://127.0.0.1:${port}/metrics`;
  }

  /** Resolves when the worker takes work. */
  static async start(taskQueue: string, more: Readonly<Record<string, string>> = {}): Promise<WorkerProcess> {
    const port = await freePort();
    const env = testEnvironment({
      MILLRACE_TASK_QUEUE: taskQueue,
      MILLRACE_WORKER_METRICS_PORT: String(port),
      ...more,
    });
    const child = spawn(process.execPath, [CLI, 'worker'], {
      env: { ...process.env, ...ofTheStack(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    mkdirSync('.millrace/test/logs', { recursive: true });
    const log = createWriteStream(`.millrace/test/logs/worker-${taskQueue}-${child.pid}.log`);
    // What it writes to one of them last may come after the end of the other.
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    child.once('close', () => log.end());
    const until = Date.now() + START_MS;
    while (Date.now() < until && child.exitCode === null) {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
      // One that its first task has killed took work, whoever looked too late to see it ready.
      if (answer?.ok || child.signalCode !== null) return new WorkerProcess(child, port, String(log.path));
      await sleep(50);
    }
    child.kill('SIGKILL');
    throw new Error(`the worker did not start: see ${String(log.path)}`);
  }

  /** SIGKILL by default: no time to say anything to anybody. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
  }

  /** SIGSTOP: it keeps its connections and does nothing. */
  stall(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  /** Sum of a metric's samples whose labels include the given text. */
  async metric(name: string, labels = ''): Promise<number> {
    // On a connection of its own: the worker closes an idle one after seconds, which who stands still learns too late.
    const text = await (await fetch(this.metricsUrl, { headers: { connection: 'close' } })).text();
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines
      .filter((line) => line.includes(labels))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }
}
