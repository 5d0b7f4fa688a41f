import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { freePort } from './free-port.js';

/** A Redis that a test may stall and kill; the server of the tests' own stack is left alone. */
export interface OwnRedis {
  readonly url: string;
  start(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  stall(): void;
  resume(): void;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/**
 * @param url a running Redis, whose executable is used
 * @param folder of its append-only file, from which it starts again with what it had. Absent: it keeps nothing
 */
export async function ownRedis(url: string, folder?: string): Promise<OwnRedis> {
  const running = new Redis(url);
  const executable = /^executable:(.+?)\r?$/m.exec(await running.info('server'))?.[1];
  running.disconnect();
  if (executable === undefined) throw new Error(`the Redis at ${url} does not say where its executable is`);
  const port = await freePort();
  let child: ChildProcess | undefined;
  const signal = (name: NodeJS.Signals) => {
    if (child?.pid !== undefined) process.kill(child.pid, name);
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    async start() {
      const keeps = folder === undefined ? ['--appendonly', 'no'] : ['--appendonly', 'yes', '--dir', folder];
      const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', ...keeps];
      child = spawn(executable, args, { stdio: ['ignore', 'pipe', 'ignore'] });
      let said = '';
      for await (const chunk of child.stdout ?? []) {
        said += String(chunk);
        if (said.includes('Ready to accept connections')) return;
      }
      throw new Error(`Redis does not start:\n${said}`);
    },
    stall: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      signal('SIGKILL');
      await exit;
    },
  };
}
