import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { MillraceError } from '../../../pipelines/errors.js';
import { withLock } from '../../../runtime/file-lock.js';
import { readJson, writeJson } from '../../../runtime/json-file.js';
import { markedProcesses, signalProcess } from '../../../runtime/process-identity.js';
import { embeddedFfmpeg } from '../../../workers/ffmpeg.js';
import { lastLines, runCommand } from './command.js';
import { examine, findPython, type Python, type PythonSource } from './find-python.js';
import { venvLock } from './locks.js';
import { INSTALL_MARK } from './marks.js';
import { readManifest, verifyWeights } from './weights.js';

/** The venv of the embedded servers: one folder of pinned wheels, created once. */
export interface Venv {
  readonly folder: string;
  /** Its interpreter, with the version and library of its base interpreter. */
  readonly python: Python;
  /** Folder of the installed packages. */
  readonly packages: string;
}

export interface VenvOptions {
  readonly folder: string;
  /** `deploy/local`: the lock file and the weights' manifest. */
  readonly recipe: string;
  readonly explicitPython?: string | undefined;
  /**
   * Versions of the interpreters that its packages support, major.minor, 3.11 among them. Default: those of the
   * embedded servers.
   */
  readonly pythons?: readonly string[] | undefined;
  /**
   * Absolute path of another venv's packages, which can be imported here as well where this one has no package of the name. Both
   * venvs need the same version of Python.
   */
  readonly beside?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Receives the current step as text. */
  readonly onStep: (detail: string) => void;
}

/** Written last: a venv without it is incomplete, one with another is outdated, and both are recreated. */
const marker = z.object({
  recipe: z.string(),
  explicitPython: z.string().nullable(),
  python: z.object({ version: z.string(), libraryFolder: z.string() }),
});

/** In milliseconds: 36 s from a warm cache; 0.5 GB to download on a slow line. */
const INSTALL_TIMEOUT_MS = 30 * 60_000;
/** Shortest interval between two progress lines, in milliseconds. */
const STEP_MS = 3_000;
const UV_PYTHON = '3.11';

/** The venv, created if it does not exist. If several processes call this at once, one of them creates it. */
export async function ensureVenv(options: VenvOptions): Promise<Venv> {
  const recipe = recipeHash(options);
  const ready = readVenv(options, recipe);
  if (ready) return ready;
  const onWait = (pid: number) => options.onStep(`waiting for process ${pid}, which is installing them`);
  return withLock(
    venvLock(options.folder),
    onWait,
    async () => readVenv(options, recipe) ?? replaceVenv(options, recipe),
  );
}

/** Installs a venv in place of an outdated one, which is put back if that fails: the release that it is of still starts. */
async function replaceVenv(options: VenvOptions, recipe: string): Promise<Venv> {
  const { folder } = options;
  const before = `${folder}.before`;
  // An installer whose `up` was killed may still be writing into the folder.
  for (const { pid } of markedProcesses(INSTALL_MARK, folder)) signalProcess(pid, 'SIGKILL');
  const isComplete = existsSync(markerPath(folder));
  if (isComplete) {
    await rm(before, { recursive: true, force: true });
    await rename(folder, before);
  }
  try {
    const venv = await makeVenv(options, recipe);
    await rm(before, { recursive: true, force: true });
    return venv;
  } catch (error) {
    if (existsSync(before)) {
      await rm(folder, { recursive: true, force: true });
      await rename(before, folder);
    }
    throw error;
  }
}

async function makeVenv(options: VenvOptions, recipe: string): Promise<Venv> {
  const source = await findPython({
    explicit: options.explicitPython,
    searchPath: options.env.PATH,
    versions: options.pythons,
  });
  await rm(options.folder, { recursive: true, force: true });
  const env = installEnvironment(options);
  await create(source, options, env);
  const executable = path.join(options.folder, 'bin', 'python');
  const examined = await examine(executable, { venvs: false, versions: options.pythons });
  if (!('python' in examined)) throw failed(`the interpreter of the new venv ${examined.unfit}`);
  const { python } = examined;
  await install(source, executable, options, env);
  const venv = { folder: options.folder, python, packages: packagesFolder(options.folder, python.version) };
  if (options.beside !== undefined) await placeBeside(venv, options.beside);
  await placeFfmpeg(venv);
  options.onStep('checking the weights');
  await verifyWeights(venv.packages, readManifest(path.join(options.recipe, 'weights.json')));
  writeJson(markerPath(options.folder), {
    recipe,
    explicitPython: options.explicitPython ?? null,
    python: { version: python.version, libraryFolder: python.libraryFolder },
  } satisfies z.output<typeof marker>);
  return venv;
}

/** The complete venv on disk, if it was created from this recipe and its base interpreter still exists. */
function readVenv({ folder, explicitPython }: VenvOptions, recipe: string): Venv | undefined {
  const parsed = marker.safeParse(readJson(markerPath(folder)));
  const executable = path.join(folder, 'bin', 'python');
  if (!parsed.success || parsed.data.recipe !== recipe || !existsSync(executable)) return undefined;
  if (explicitPython !== undefined && parsed.data.explicitPython !== explicitPython) return undefined;
  const { version, libraryFolder } = parsed.data.python;
  return { folder, python: { executable, version, libraryFolder }, packages: packagesFolder(folder, version) };
}

async function create(source: PythonSource, options: VenvOptions, env: NodeJS.ProcessEnv): Promise<void> {
  const [command, args] =
    source.kind === 'uv'
      ? [source.uv, ['venv', '--quiet', '--python', UV_PYTHON, options.folder]]
      : [source.python.executable, ['-m', 'venv', options.folder]];
  options.onStep(`creating a venv with ${source.kind === 'uv' ? 'uv' : `Python ${source.python.version}`}`);
  const result = await runCommand(command, args, { env, timeoutMs: INSTALL_TIMEOUT_MS });
  if (result.code !== 0)
    throw failed(`${command} ${args.join(' ')}:\n${lastLines(result.stderr || result.stdout, 12)}`);
}

/** Every package is in the lock file, so nothing is resolved: `--no-deps` omits packages that are not used here. */
async function install(
  source: PythonSource,
  executable: string,
  options: VenvOptions,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const lock = path.join(options.recipe, 'requirements.txt');
  const wanted = ['--no-deps', '--only-binary', ':all:', '-r', lock];
  const [command, args] =
    source.kind === 'uv'
      ? [source.uv, ['pip', 'install', '--python', executable, ...wanted]]
      : [executable, ['-m', 'pip', 'install', '--progress-bar', 'off', ...wanted]];
  options.onStep('installing packages');
  let reportedAt = Date.now();
  const onLine = (line: string) => {
    const name = /^Collecting ([^\s;=]+)/.exec(line)?.[1] ?? (line.startsWith('Installing') ? 'unpacking' : undefined);
    if (!name || Date.now() - reportedAt < STEP_MS) return;
    reportedAt = Date.now();
    options.onStep(`installing packages: ${name}`);
  };
  const result = await runCommand(command, args, { env, timeoutMs: INSTALL_TIMEOUT_MS, onLine });
  if (result.code !== 0) throw failed(`the packages of ${lock}:\n${lastLines(result.stderr || result.stdout, 12)}`);
}

/** Python adds the folders that a .pth file names behind the one that it lies in. */
async function placeBeside({ packages }: Venv, beside: string): Promise<void> {
  await mkdir(packages, { recursive: true });
  await writeFile(path.join(packages, 'millrace-beside.pth'), `${beside}\n`);
}

/** Links the ffmpeg of its package, if installed, to the path at which worker and gateway expect it. */
async function placeFfmpeg({ folder, packages }: Venv): Promise<void> {
  const binaries = path.join(packages, 'imageio_ffmpeg', 'binaries');
  const name = existsSync(binaries) && readdirSync(binaries).find((file) => file.startsWith('ffmpeg-'));
  if (!name) return;
  const program = path.join(binaries, name);
  const link = embeddedFfmpeg(folder);
  await chmod(program, 0o755);
  await symlink(path.relative(path.dirname(link), program), link);
}

/** The user's environment (proxies, mirrors), without variables that would redirect the installation. */
function installEnvironment({ env, folder }: VenvOptions): NodeJS.ProcessEnv {
  const diverting = ['PYTHONHOME', 'PYTHONPATH', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_USER', 'PIP_REQUIRE_VIRTUALENV'];
  const kept = Object.fromEntries(Object.entries(env).filter(([name]) => !diverting.includes(name)));
  return { ...kept, [INSTALL_MARK]: folder, PIP_NO_INPUT: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1' };
}

function recipeHash({ recipe, beside }: VenvOptions): string {
  const hash = createHash('sha256');
  for (const file of ['requirements.txt', 'weights.json']) hash.update(readFileSync(path.join(recipe, file)));
  if (beside !== undefined) hash.update(beside);
  return hash.digest('hex');
}

const markerPath = (folder: string): string => path.join(folder, 'millrace.json');
const packagesFolder = (folder: string, version: string): string =>
  path.join(folder, 'lib', `python${version}`, 'site-packages');

const failed = (what: string): MillraceError =>
  new MillraceError(
    'STACK_INSTALL_FAILED',
    `Installing the embedded servers failed: ${what}\nThe next \`millrace up\` starts over.`,
  );
