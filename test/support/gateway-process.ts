import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.js';
import { ofTheStack, testEnvironment } from './settings.js';

const CLI = 'dist/cli/main.js';
/** Some seconds on an idle machine. */
const START_MS = 180_000;

/** A gateway of the build in a process of its own, before the worker of the tests' stack. */
export class GatewayProcess {
  readonly #child: ChildProcess;
  readonly url: string;
  #log = '';

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.url = `http://127.0.0.1:${port}`;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log += text;
      });
  }

  /** Resolves when it listens. Throws with its output when it ends instead. */
  static async start(more: Readonly<Record<string, string>> = {}): Promise<GatewayProcess> {
    const port = await freePort();
    // The gateway of the stack has the port of the gRPC door.
    const own = { MILLRACE_GATEWAY_PORT: String(port), MILLRACE_KSERVE_GRPC_PORT: '0' };
    const child = spawn(process.execPath, [CLI, 'gateway'], {
      env: { ...process.env, ...ofTheStack(), ...testEnvironment({ ...own, ...more }) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const gateway = new GatewayProcess(child, port);
    const closed = new Promise((resolve) => child.once('close', resolve));
    const until = Date.now() + START_MS;
    while (Date.now() < until && child.exitCode === null) {
      const answer = await fetch(`${gateway.url}/healthz`).catch(() => undefined);
      if (answer?.ok) return gateway;
      await sleep(50);
    }
    child.kill('SIGKILL');
    // With all that it has written.
    await closed;
    throw new Error(`the gateway did not start:\n${gateway.#log}`);
  }

  /** All that it has written. */
  get log(): string {
    return this.#log;
  }

  /** Lines of its log that hold a text, parsed. Of the last one a part may have come so far: it is none yet. */
  lines(text: string): Record<string, unknown>[] {
    const whole = this.#log.split('\n').slice(0, -1);
    const lines = whole.filter((line) => line.startsWith('{') && line.includes(text));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Resident memory, in bytes. */
  memory(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
  }
}
