import { fileURLToPath } from 'node:url';
import type { Incident } from './incidents.js';
import type { ChaosProcess } from './process.js';

const MODULES = ['./pipelines.js', './pipelines-next.js'].map((file) => fileURLToPath(new URL(file, import.meta.url)));

const env = (release: number) => ({ MILLRACE_PIPELINES: MODULES[release] ?? '' });

/**
 * Replaces the running release by the other one, workers first, as documented: a worker of the old release stays for the runs
 * that began under it, and each other process is asked to end and is restarted with changed functions. Each round changes them
 * back.
 * @param old the worker that stays; it is not started before the first deploy
 */
export function deploy(
  { workers, gateway, old }: { workers: readonly ChaosProcess[]; gateway: ChaosProcess; old: ChaosProcess },
  mayHappen: () => boolean,
): Incident {
  let release = 0;
  return {
    mayHappen,
    async happen() {
      await old.stop();
      await old.start(env(release));
      release = 1 - release;
      for (const each of [...workers, gateway]) {
        await each.stop();
        await each.start(env(release));
      }
    },
  };
}
