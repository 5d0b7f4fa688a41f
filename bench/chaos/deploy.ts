import { fileURLToPath } from 'node:url';
import type { Incident } from './incidents.js';
import type { ChaosProcess } from './process.js';

const MODULES = ['./pipelines.js', './pipelines-next.js'].map((file) => fileURLToPath(new URL(file, import.meta.url)));

/**
 * Replaces the running release by the other one, workers first, as documented: each process is asked to end, and is
 * restarted with changed functions afterwards. Each round changes them back.
 */
export function deploy(workers: readonly ChaosProcess[], gateway: ChaosProcess, mayHappen: () => boolean): Incident {
  let release = 0;
  return {
    mayHappen,
    async happen() {
      release = 1 - release;
      const env = { MILLRACE_PIPELINES: MODULES[release] ?? '' };
      for (const each of [...workers, gateway]) {
        await each.stop();
        await each.start(env);
      }
    },
  };
}
