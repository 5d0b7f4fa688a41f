import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { venvOf } from '../../venv.js';
import type { Side, Taken } from './sides.js';

/** OpenAI Agents in the newest version that Temporal's integration takes. */
const PACKAGES = ['openai==3.57.0', 'openai-agents==0.22.3', 'temporalio==1.35.0', 'temporalio-openai-agents==1.1.0'];
const SCRIPT = path.resolve('bench/agent/against/openai_agents_side.py');
/** Imports take seconds on an idle machine. */
const START_MS = 180_000;
const STOP_MS = 5_000;

interface Place {
  readonly temporal: string;
  /** Base URL of the model's server. */
  readonly model: string;
}

/** OpenAI Agents on Temporal: a worker and a client, each in a process of its own, as Millrace has them. */
export async function openAiAgents({ temporal, model }: Place): Promise<Side> {
  const python = path.join(await venvOf('openai-agents-temporal', PACKAGES), 'bin/python');
  const start = (role: 'worker' | 'client') => {
    const child = spawn(python, [SCRIPT, role, temporal, 'openai-agents', model], {
      env: {
        ...{ PATH: process.env.PATH, HOME: process.env.HOME, PYTHONDONTWRITEBYTECODE: '1' },
        // Otherwise it sends traces to OpenAI.
        OPENAI_AGENTS_DISABLE_TRACING: '1',
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    process.once('exit', () => child.kill('SIGKILL'));
    return child;
  };
  const [worker, client] = [start('worker'), start('client')];
  const said = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
  await firstLine(worker);
  return {
    async turn(question): Promise<Taken> {
      client.stdin.write(`${question}\n`);
      const { value, done } = await said.next();
      if (done) throw new Error('the client of OpenAI Agents has ended');
      return JSON.parse(value) as Taken;
    },
    async stop() {
      await Promise.all([worker, client].map(ended));
    },
  };
}

async function firstLine(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit').then(() => 'exit');
  const line = child.stdout === null ? exit : once(child.stdout, 'data').then(() => 'line');
  const first = await Promise.race([line, exit, sleep(START_MS, 'late', { ref: false })]);
  if (first !== 'line') throw new Error('the worker of OpenAI Agents does not start');
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.stdin?.end();
  await Promise.race([exit, sleep(STOP_MS, undefined, { ref: false })]);
  child.kill('SIGKILL');
  await exit;
}
