import { expect } from 'vitest';
import { readManifest } from '../../cli/types/manifest.js';
import { moduleSource } from '../../cli/types/module-source.js';
import { GatewayProcess } from './gateway-process.js';
import { type PythonSdk, runPython } from './python-sdk.js';
import { WorkerProcess } from './worker-process.js';

/** The module that `millrace types` makes of the stages of a Python module. */
export async function typesOf(python: PythonSdk, cwd: string, module: string, queue: string): Promise<string> {
  const { code, stdout, stderr } = await runPython(python, ['-m', 'millrace', 'manifest', module, '--queue', queue], {
    cwd,
  });
  expect(code, stderr).toBe(0);
  return moduleSource(readManifest(stdout));
}

/** Modules without types as the build's processes load them: they import the package in place of the sources. */
export const asModule = (source: string) =>
  source
    .replace(/from '(?:\.\.\/)+pipelines\/index\.js'/, "from 'millrace'")
    .replaceAll(/from '\.\/([\w-]+)\.js'/g, "from './$1.mjs'");

/** A worker and a gateway of the build. */
export async function serve(pipelines: string, queue: string) {
  const settings = { MILLRACE_PIPELINES: pipelines, MILLRACE_TASK_QUEUE: queue };
  const [worker, gateway] = await Promise.all([WorkerProcess.start(queue, settings), GatewayProcess.start(settings)]);
  return {
    url: gateway.url,
    async stop() {
      await Promise.all([worker.kill('SIGTERM'), gateway.stop()]);
    },
  };
}
export type Served = Awaited<ReturnType<typeof serve>>;
