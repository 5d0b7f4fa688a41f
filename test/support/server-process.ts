import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { signalGroup } from '../../runtime/process-identity.js';

export interface ServerCommand {
  /** As it is called in messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** It has this long to answer. */
  readonly readyMs: number;
  /** It has this long to end its calls. */
  readonly stopMs: number;
  /** Whether it does its work; a refused connection counts as no. */
  readonly answers: () => Promise<boolean>;
}

const POLL_MS = 100;
/** Enough of what it said to see why it does not start. */
const LONGEST_TAIL = 8_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Starts a server as the head of a process group and waits until it answers. The whole group is ended by what is returned,
 * and also when this process ends or is told to.
 */
export async function startServer(server: ServerCommand): Promise<() => Promise<void>> {
  const { name, command, args, cwd, env, readyMs, stopMs } = server;
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const { pid } = child;
  let output = '';
  const keep = (text: Buffer | string) => {
    output = (output + text).slice(-LONGEST_TAIL);
  };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', keep);
  child.once('error', (error) => keep(error.message));
  if (pid === undefined) {
    await once(child, 'error').catch(keep);
    throw new Error(`${name} does not start: ${output}`);
  }
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  const kill = () => void signalGroup(pid, 'SIGKILL');
  const onSignal = (signal: NodeJS.Signals) => {
    kill();
    // Where nobody else listens the signal does what it would have done.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  process.once('exit', kill);
  for (const signal of SIGNALS) process.once(signal, onSignal);
  const stop = async () => {
    process.off('exit', kill);
    for (const signal of SIGNALS) process.off(signal, onSignal);
    if (!ended()) {
      const exit = once(child, 'exit');
      signalGroup(pid, 'SIGTERM');
      await Promise.race([exit, sleep(stopMs, undefined, { ref: false })]);
    }
    // Its own children may outlive it.
    kill();
    if (!ended()) await once(child, 'exit');
  };
  const end = performance.now() + readyMs;
  while (performance.now() < end && !ended()) {
    if (await server.answers().catch(() => false)) return stop;
    await sleep(POLL_MS);
  }
  await stop();
  throw new Error(`${name} does not start:\n${output}`);
}
