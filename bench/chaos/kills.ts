import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '../../deploy/local/stack/index.js';
import type { Settings } from '../../workers/settings.js';
import type { Incident } from './incidents.js';
import type { ChaosProcess } from './process.js';
import { settings } from './settings.js';

/** Parts of the stack to be killed; its supervisor restarts them. */
export const PARTS = ['triton', 'llm', 'redis'] as const;

/** Delay until a killed process is restarted, unless it restarts by itself: a service manager's usual pause. */
const PAUSE_MS = 1_000;
const POLL_MS = 50;

type Part = (typeof PARTS)[number];

const partOf = (name: Part, of: Settings) => status(of).parts.find((part) => part.name === name);

export const isReady = (name: Part, of = settings): boolean => partOf(name, of)?.state === 'ready';

/** Sends SIGKILL to a part of the stack. */
export const killPart = (name: Part, of = settings): Incident => ({
  mayHappen: () => isReady(name, of),
  async happen() {
    const pid = partOf(name, of)?.pid;
    if (pid === undefined) throw new Error(`${name} does not run`);
    process.kill(pid, 'SIGKILL');
    // Until the supervisor has noticed, its record still reports a healthy part.
    while (partOf(name, of)?.pid === pid) await sleep(POLL_MS);
  },
});

/** Sends SIGKILL to a process of the suite and restarts it. `when`: at which moment. */
export const killProcess = (victim: ChaosProcess, when: () => Promise<void> = async () => undefined): Incident => ({
  mayHappen: () => victim.ready,
  async happen() {
    await when();
    await victim.kill();
    const starting = sleep(PAUSE_MS).then(() => victim.start());
    // A process that does not come back is detected when the plan continues.
    starting.catch(() => undefined);
  },
});
