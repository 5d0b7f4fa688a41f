import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '../../deploy/local/stack/index.js';
import type { Incident } from './incidents.js';
import type { ChaosProcess } from './process.js';
import { settings } from './settings.js';

/** Parts of the stack that are killed; its supervisor starts them again. */
export const PARTS = ['triton', 'llm', 'redis'] as const;

/** What is killed starts again by itself, or this long after: a service manager's usual pause. */
const PAUSE_MS = 1_000;
const LOOK_MS = 50;

const partOf = (name: string) => status(settings).parts.find((part) => part.name === name);

export const isReady = (name: (typeof PARTS)[number]): boolean => partOf(name)?.state === 'ready';

/** A part of the stack gets SIGKILL. */
export const killPart = (name: (typeof PARTS)[number]): Incident => ({
  mayHappen: () => isReady(name),
  async happen() {
    const pid = partOf(name)?.pid;
    if (pid === undefined) throw new Error(`${name} does not run`);
    process.kill(pid, 'SIGKILL');
    // Until the supervisor has noticed, its record still says that all is well.
    while (partOf(name)?.pid === pid) await sleep(LOOK_MS);
  },
});

/** A process of the suite gets SIGKILL, and is started again. `when`: at which moment. */
export const killProcess = (victim: ChaosProcess, when: () => Promise<void> = async () => undefined): Incident => ({
  mayHappen: () => victim.ready,
  async happen() {
    await when();
    await victim.kill();
    const starting = sleep(PAUSE_MS).then(() => victim.start());
    // One that does not come back is found when the plan goes on.
    starting.catch(() => undefined);
  },
});
