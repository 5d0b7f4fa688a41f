import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A worker's process. */
export class Side {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  static async start(name: 'ours' | 'theirs', address: string): Promise<Side> {
    const child = fork(fileURLToPath(new URL('./worker.js', import.meta.url)), [name, address], { stdio: 'inherit' });
    const failed = once(child, 'exit').then(() => {
      throw new Error(`the worker of ${name} has ended`);
    });
    await Promise.race([once(child, 'message'), failed]);
    failed.catch(() => undefined);
    return new Side(child);
  }

  /** CPU time used by the process, in milliseconds. */
  async cpuMs(): Promise<number> {
    const answer = once(this.#process, 'message');
    this.#process.send('cpu');
    const [{ cpuMs }] = (await answer) as [{ cpuMs: number }];
    return cpuMs;
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.disconnect();
    await ended;
  }
}
