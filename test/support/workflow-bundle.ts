import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { withLock } from '../../runtime/file-lock.js';

const WORKFLOWS = '../../workflows/index.ts';
/** Rooms whose files are in the bundle: the rule `workflows-run-alone` lets no other in. */
const BUNDLED = ['workflows', 'pipelines'];
const KEPT = path.resolve('.millrace/test/workflow-bundle');

/** By module: once for each process. */
const bundled = new Map<string, Promise<{ code: string }>>();

/**
 * Workflows bundled from the sources, so that a test sees what stands there and not what was last built. Bundling takes seconds of
 * processor time, so processes share the bundle of the same sources.
 * @param workflows the module of the workflows, from here: a test may have changed ones, which are not shared
 */
export function workflowBundle(workflows = WORKFLOWS): Promise<{ code: string }> {
  const bundle = bundled.get(workflows) ?? (workflows === WORKFLOWS ? shared() : bundleOf(workflows));
  bundled.set(workflows, bundle);
  return bundle;
}

const bundleOf = (workflows: string): Promise<{ code: string }> =>
  bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL(workflows, import.meta.url)),
    preloadModules: [fileURLToPath(new URL('../../workflows/preload.ts', import.meta.url))],
    logger: new DefaultLogger('ERROR'),
  });

function shared(): Promise<{ code: string }> {
  return withLock(
    `${KEPT}.lock`,
    () => undefined,
    async () => {
      const hash = hashOfSources();
      const file = path.join(KEPT, `${hash}.js`);
      if (existsSync(file)) return { code: readFileSync(file, 'utf8') };
      const { code } = await bundleOf(WORKFLOWS);
      // It may have some of the old sources and some of the new ones.
      if (hashOfSources() !== hash) return { code };
      // Those of earlier sources are of no use.
      rmSync(KEPT, { recursive: true, force: true });
      mkdirSync(KEPT, { recursive: true });
      writeFileSync(`${file}.draft`, code);
      renameSync(`${file}.draft`, file);
      return { code };
    },
  );
}

/** Of all that the bundle is made of, the bundler included. */
function hashOfSources(): string {
  const hash = createHash('sha256').update(readFileSync('package-lock.json'));
  for (const room of BUNDLED) {
    const names = readdirSync(room, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    for (const name of names.sort()) hash.update(`\0${room}/${name}\0`).update(readFileSync(path.join(room, name)));
  }
  return hash.digest('hex');
}
