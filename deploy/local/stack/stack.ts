import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, renameSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../pipelines/errors.js';
import { withLock } from '../../../runtime/file-lock.js';
import { readJson, writeJson } from '../../../runtime/json-file.js';
import { isAlive, signalGroup, signalProcess } from '../../../runtime/process-identity.js';
import { type Endpoints, endpointsOf } from '../../../workers/endpoints.js';
import { chooseFfmpeg, describeFfmpeg } from '../../../workers/ffmpeg.js';
import type { Settings } from '../../../workers/settings.js';
import { addressOf } from './addresses.js';
import { awaitReady } from './await-ready.js';
import { endLeftovers } from './leftovers.js';
import { homeLock } from './locks.js';
import { STACK_MARK } from './marks.js';
import { isExternal, settingHashes, settingsAsEnvironment } from './part-settings.js';
import { NODE_PARTS, type PartName, type PartSpec, REDIS_PARTS, SERVER_PARTS } from './part-spec.js';
import { type PartPrograms, partSpec, redisFolder } from './parts.js';
import { CLI_MAIN, RECIPE, SUPERVISOR_MAIN } from './paths.js';
import { requireFreePorts } from './ports.js';
import type { OnProgress, Progress } from './progress.js';
import { preparePrograms } from './python.js';
import { PROC, requireProc } from './require-proc.js';
import { restart } from './restart.js';
import { requireSameSettings } from './same-settings.js';
import { logPath, readState, type StackState, settingsPath, specsPath } from './stack-state.js';
import { outdatedParts } from './status.js';
import { stopTimeMs } from './stop-times.js';

export interface UpOptions {
  readonly settings: Settings;
  /** Default: the servers. */
  readonly parts?: readonly PartName[];
  readonly onProgress?: (progress: Progress) => void;
  /** Where the system lists its processes. Default: /proc. */
  readonly proc?: string;
}

const SUPERVISOR_START_MS = 60_000;

/**
 * Starts the requested parts that are not running, and resolves when all of them are ready. Safe to repeat and to call
 * from several processes: running servers are kept; a worker or gateway whose build, pipelines or models file have changed
 * since it was started is restarted; processes left by a killed supervisor are ended first. A part is not started if the
 * settings name the user's own server for it.
 *
 * @throws MillraceError STACK_UNSUPPORTED on systems other than Linux
 */
export async function up({ settings, parts = SERVER_PARTS, onProgress, proc = PROC }: UpOptions): Promise<Endpoints> {
  requireProc(proc);
  const began = Date.now();
  const notify: OnProgress = (part, state, detail) => onProgress?.({ part, state, detail, ms: Date.now() - began });
  const home = settings.MILLRACE_HOME;
  const wanted = parts.filter((part) => !isExternal(part, settings));
  const onWait = (pid: number) => notify('stack', 'waiting', `for process ${pid}, which is starting the stack too`);
  await withLock(homeLock(home), onWait, async () => {
    const running = await runningStack(home, notify);
    const present = running?.parts.map(({ name }) => name) ?? [];
    if (running) await requireSameSettings(settings, running, wanted);
    for (const part of parts) if (isExternal(part, settings)) notify(part, 'external', addressOf(part, settings));
    const missing = wanted.filter((part) => !present.includes(part));
    if (missing.length > 0) await start(missing, settings, running, notify);
    // If all servers are the user's own there is no supervisor to wait for.
    if (wanted.length === 0) return;
    try {
      await awaitReady(home, wanted, notify);
      const outdated = await outdatedParts(settings);
      // The worker first: a gateway of a later release starts runs that a worker of the earlier one does not know.
      for (const part of NODE_PARTS)
        if (wanted.includes(part) && outdated.includes(part)) await restart(home, part, notify);
    } catch (error) {
      // Parts that were running are kept; a stack that never became ready is stopped.
      if (!running) await stopSupervisor(home);
      throw error;
    }
  });
  return endpointsOf(settings);
}

/**
 * Stops all parts of the home, and the supervisor. Resolves to false if nothing was running.
 *
 * @throws MillraceError STACK_UNSUPPORTED on systems other than Linux
 */
export async function down(settings: Settings, proc = PROC): Promise<boolean> {
  requireProc(proc);
  const home = settings.MILLRACE_HOME;
  if (!existsSync(home)) return false;
  return withLock(
    homeLock(home),
    () => undefined,
    () => stopSupervisor(home),
  );
}

async function stopSupervisor(home: string): Promise<boolean> {
  const supervisor = readState(home)?.supervisor;
  const wasUp = supervisor !== undefined && isAlive(supervisor);
  if (wasUp) {
    signalProcess(supervisor.pid, 'SIGTERM');
    const giveUpAt = Date.now() + stopTimeMs(home);
    while (isAlive(supervisor) && Date.now() < giveUpAt) await sleep(20);
    if (isAlive(supervisor)) signalGroup(supervisor.pid, 'SIGKILL');
  }
  const ended = await endLeftovers(home);
  return wasUp || ended.length > 0;
}

/** The state of a live supervisor. Processes left by a dead one are ended. */
async function runningStack(home: string, notify: OnProgress): Promise<StackState | undefined> {
  const state = readState(home);
  if (state && isAlive(state.supervisor)) {
    const ending = state.parts.some((part) => part.state === 'stopping' || part.state === 'stopped');
    if (!ending) return state;
    await stopSupervisor(home);
    return undefined;
  }
  const ended = await endLeftovers(home);
  if (ended.length > 0) notify('stack', 'recovered', `ended ${ended.length} processes left by a dead supervisor`);
  return undefined;
}

async function start(
  missing: readonly PartName[],
  settings: Settings,
  running: StackState | undefined,
  notify: OnProgress,
): Promise<void> {
  const home = settings.MILLRACE_HOME;
  const programs = await programsFor(missing, settings, notify);
  const specs = missing.map((part) => partSpec(part, settings, programs));
  await requireFreePorts(specs);
  makeFolders(missing, settings, programs);
  writeJson(settingsPath(home), settingHashes(settings));
  const earlier = running ? ((readJson(specsPath(home)) ?? []) as readonly PartSpec[]) : [];
  writeJson(specsPath(home), [...earlier, ...specs]);
  if (running) signalProcess(running.supervisor.pid, 'SIGHUP');
  else await spawnSupervisor(settings);
}

async function programsFor(
  missing: readonly PartName[],
  settings: Settings,
  notify: OnProgress,
): Promise<PartPrograms> {
  for (const file of [settings.MILLRACE_LLM_GGUF, settings.MILLRACE_LLM_CHAT_TEMPLATE]) {
    if (missing.includes('llm') && file !== undefined && !existsSync(file)) {
      throw new MillraceError('INVALID_SETTING', `The embedded LLM server needs ${file}, which does not exist.`);
    }
  }
  if (NODE_PARTS.some((part) => missing.includes(part)) && !existsSync(CLI_MAIN)) {
    throw new MillraceError('STACK_START_FAILED', `Millrace is not built: ${CLI_MAIN} does not exist.`);
  }
  let installs = false;
  const onStep = (detail: string) => {
    installs = true;
    notify('packages', 'installing', detail);
  };
  const programs = await preparePrograms(missing, {
    home: settings.MILLRACE_HOME,
    venv: settings.MILLRACE_VENV,
    recipe: RECIPE,
    explicitPython: settings.MILLRACE_PYTHON,
    env: process.env,
    onStep,
    onRedis: (detail) => notify('redis', 'using', detail),
  });
  if (installs) notify('packages', 'installed', settings.MILLRACE_VENV);
  if (!NODE_PARTS.some((part) => missing.includes(part))) return programs;
  // After the installation, which may have added the embedded ffmpeg.
  const ffmpeg = chooseFfmpeg(settings);
  notify('ffmpeg', 'using', describeFfmpeg(ffmpeg));
  return { ...programs, ffmpeg };
}

function makeFolders(missing: readonly PartName[], settings: Settings, programs: PartPrograms): void {
  const home = settings.MILLRACE_HOME;
  mkdirSync(path.join(home, 'logs'), { recursive: true });
  if (missing.includes('temporal')) mkdirSync(path.join(home, 'temporal'), { recursive: true });
  for (const part of REDIS_PARTS) {
    if (!missing.includes(part) || !programs.redis) continue;
    mkdirSync(redisFolder(settings, part, programs.redis.line), { recursive: true });
  }
}

/** A detached process in its own session: it outlives this process and its terminal. */
async function spawnSupervisor(settings: Settings): Promise<void> {
  const home = settings.MILLRACE_HOME;
  const file = logPath(home, 'supervisor');
  if (existsSync(file)) renameSync(file, `${file}.1`);
  const log = openSync(file, 'a');
  const child = spawn(process.execPath, [SUPERVISOR_MAIN, home], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...settingsAsEnvironment(settings), [STACK_MARK]: home },
  });
  closeSync(log);
  child.unref();
  let failure: string | undefined;
  child.once('error', (error) => {
    failure = error.message;
  });
  child.once('exit', (code, signal) => {
    failure = `it ended with ${signal ?? code}`;
  });
  const giveUpAt = Date.now() + SUPERVISOR_START_MS;
  while (readState(home)?.supervisor.pid !== child.pid) {
    if (failure === undefined && Date.now() < giveUpAt) await sleep(20);
    else
      throw new MillraceError(
        'STACK_START_FAILED',
        `The supervisor: ${failure ?? 'did not start in time'}. See ${file}.`,
      );
  }
}
