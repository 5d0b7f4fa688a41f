import { fileURLToPath } from 'node:url';
import type { Incident } from './incidents.js';
import type { ChaosProcess } from './process.js';

const MODULES = ['./pipelines.js', './pipelines-next.js'].map((file) => fileURLToPath(new URL(file, import.meta.url)));

/**
 * The other release takes the place of the one that runs, workers first, as the documents say: each process is told to end,
 * and starts anew with changed functions when it has. Each round changes them back.
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
