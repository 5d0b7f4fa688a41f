import { existsSync } from 'node:fs';
import { chmod, copyFile, cp, mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';

/** The workflow bundle written by the build. With it a worker starts in a quarter of the time. */
export const BUNDLE_PATH = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));
const WORKFLOWS_PATH = fileURLToPath(new URL('../workflows/index.js', import.meta.url));
const PRELOAD_PATH = fileURLToPath(new URL('../workflows/preload.js', import.meta.url));

/**
 * How long workflow code may run without a pause, by the clock. By default Temporal's SDK cuts it off after 5 s, which a process that gets no processor
 * time exceeds, and Node 20 then aborts the process: "async hook stack has become corrupted" (temporalio/sdk-typescript#939). The interpreter has no endless loops.
 */
export const WORKFLOW_LIMITS = { isolateExecutionTimeout: '10m' } as const;

/** The source of a worker's workflows: the prebuilt bundle, or the sources if there is no build; and their limits. */
export const workflowSource = () => ({
  ...WORKFLOW_LIMITS,
  ...(existsSync(BUNDLE_PATH) ? { workflowBundle: { codePath: BUNDLE_PATH } } : { workflowsPath: WORKFLOWS_PATH }),
});

/** Bundles `workflows/` of this build. */
export async function writeBundle(): Promise<void> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: WORKFLOWS_PATH,
    preloadModules: [PRELOAD_PATH],
    logger: new DefaultLogger('WARN'),
  });
  await writeFile(BUNDLE_PATH, code);
}

/** Files of Swagger UI: those that the explorer serves, and those that its licence requires beside them. */
const SWAGGER_UI = ['swagger-ui-bundle.js', 'swagger-ui.css', 'swagger-ui-bundle.js.LICENSE.txt', 'LICENSE', 'NOTICE'];

/** Copies the explorer's files, which the compiler does not, into this build. */
async function copyExplorer(): Promise<void> {
  const folder = new URL('../gateway/explorer/page/', import.meta.url);
  await mkdir(folder, { recursive: true });
  await cp(new URL('../../gateway/explorer/page/', import.meta.url), folder, { recursive: true });
  const { resolve } = createRequire(import.meta.url);
  for (const name of SWAGGER_UI) {
    const target = name.startsWith('swagger-ui') ? name : `swagger-ui.${name}`;
    await copyFile(resolve(`swagger-ui-dist/${name}`), new URL(target, folder));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeBundle();
  await copyExplorer();
  // npm makes a package's commands executable on installation, which in a clone happens before they are built.
  await chmod(new URL('../cli/main.js', import.meta.url), 0o755);
}
