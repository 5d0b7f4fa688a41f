import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { STACK_MARK } from '../../deploy/local/stack/marks.js';
import { cpuSeconds } from '../sse/usage.js';
import { environment, settings } from './settings.js';

const START_MS = 60_000;
const PROBE_MS = 100;
/** Above the stack's own ports; three per side. */
const PORTS = 20;

/** Path of a build's command line: the first is this build's, the other that of releases before the folder `cli/`. */
const MAINS = ['dist/cli/main.js', 'dist/workers/cli/main.js'];

/** A worker and a gateway of one build, on the servers that all sides share. */
export class HttpSide {
  readonly url: string;
  readonly #processes: readonly ChildProcess[];

  private constructor(url: string, processes: readonly ChildProcess[]) {
    this.url = url;
    this.#processes = processes;
  }

  /** @param root folder of a built checkout */
  static async start(name: string, root: string, index: number): Promise<HttpSide> {
    const main = MAINS.map((file) => path.resolve(root, file)).find(existsSync);
    if (main === undefined) throw new Error(`there is no build in ${root}`);
    const port = settings.MILLRACE_GATEWAY_PORT + PORTS + 3 * index;
    const own = {
      MILLRACE_TASK_QUEUE: `bench-${name}`,
      MILLRACE_PIPELINES: path.resolve(root, 'dist/bench/overhead/pipelines.js'),
      MILLRACE_GATEWAY_PORT: String(port),
      MILLRACE_KSERVE_GRPC_PORT: String(port + 1),
      MILLRACE_WORKER_METRICS_PORT: String(port + 2),
      MILLRACE_LOG_LEVEL: 'warn',
    };
    const begin = (role: 'worker' | 'gateway') => {
      const child = spawn(process.execPath, [main, role], {
        cwd: process.cwd(),
        env: { ...process.env, ...environment, ...own, [STACK_MARK]: settings.MILLRACE_HOME },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const file = path.join(settings.MILLRACE_HOME, 'logs', `${name}-${role}.log`);
      mkdirSync(path.dirname(file), { recursive: true });
      const log = createWriteStream(file, { flags: 'a' });
      child.stdout.pipe(log);
      child.stderr.pipe(log);
      return child;
    };
    const side = new HttpSide(`http://127.0.0.1:${port}`, [begin('gateway'), begin('worker')]);
    await side.#untilReady(`http://127.0.0.1:${port + 2}/readyz`);
    await side.#untilReady(`${side.url}/healthz`);
    return side;
  }

  async #untilReady(probe: string): Promise<void> {
    for (const until = Date.now() + START_MS; Date.now() < until; await sleep(PROBE_MS)) {
      if ((await fetch(probe).catch(() => undefined))?.ok) return;
      if (this.#processes.some(({ exitCode }) => exitCode !== null)) break;
    }
    throw new Error(`a side did not start: see ${path.join(settings.MILLRACE_HOME, 'logs')}`);
  }

  /** CPU time used by its processes, in milliseconds. */
  cpuMs(): { readonly gateway: number; readonly worker: number } {
    const [gateway, worker] = this.#processes.map(({ pid = 0 }) => cpuSeconds(pid) * 1_000);
    return { gateway: gateway ?? Number.NaN, worker: worker ?? Number.NaN };
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#processes.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }),
    );
  }
}
