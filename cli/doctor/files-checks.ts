import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { artifactsFolder } from '../../workers/artifacts.js';
import { chooseFfmpeg } from '../../workers/ffmpeg.js';
import type { Settings } from '../../workers/settings.js';
import { type Check, errorText, type Finding, fail, pass, warn } from './finding.js';

/** Warn below this free space, in bytes: some sixteen of the largest uploads. */
const LITTLE_BYTES = 2 ** 30;
/** Fail below this free space, in bytes: the largest upload (64 MiB) with its conversions would fail. */
const TOO_LITTLE_BYTES = 2 ** 28;

export function artifactsCheck(settings: Settings): Check {
  const folder = artifactsFolder(settings);
  const own = settings.config.artifacts;
  if (own !== undefined) {
    const remedy = 'see the message of the configuration’s artifact store';
    const run = () => own.check().then(() => [pass('artifacts.writable', 'stores.artifacts', 'writable')]);
    return { id: 'artifacts.writable', about: 'stores.artifacts', remedy, run };
  }
  return {
    id: 'artifacts.writable',
    about: folder,
    remedy: 'grant this user write permission there, or set MILLRACE_HOME to another folder',
    async run() {
      const there = await nearest(folder);
      await access(there, constants.W_OK | constants.X_OK);
      const detail = there === folder ? 'writable' : `does not exist yet; can be created in ${there}`;
      return [pass('artifacts.writable', folder, detail), await space(folder, there)];
    },
  };
}

async function space(folder: string, there: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(there);
  const free = bavail * bsize;
  const detail = `${(free / 2 ** 30).toFixed(1)} GiB free`;
  const remedy = 'free some space, or set MILLRACE_HOME to a larger disk';
  if (free < TOO_LITTLE_BYTES) return fail('artifacts.space', folder, detail, remedy);
  return free < LITTLE_BYTES
    ? warn('artifacts.space', folder, detail, remedy)
    : pass('artifacts.space', folder, detail);
}

/** The folder, or its nearest existing ancestor: folders are created on first use. */
async function nearest(folder: string): Promise<string> {
  const exists = await access(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );
  return exists || path.dirname(folder) === folder ? folder : nearest(path.dirname(folder));
}

export function ffmpegCheck(settings: Settings, searchPath = process.env.PATH): Check {
  const { program, why } = chooseFfmpeg(settings, searchPath);
  const remedy = 'install ffmpeg where worker and gateway run, or correct MILLRACE_FFMPEG, if your audio is not WAV';
  return {
    id: 'media.ffmpeg',
    about: program,
    remedy,
    async run(signal) {
      try {
        const { stdout } = await answerOf(program, '-version', signal);
        const version = /^ffmpeg version \S+/.exec(stdout)?.[0] ?? 'of unknown version';
        return [pass('media.ffmpeg', program, `${version}; ${why}`)];
      } catch (error) {
        const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
        const detail = missing ? `not found (${why}): only WAV audio is accepted` : errorText(error);
        return [warn('media.ffmpeg', program, detail, remedy)];
      }
    },
  };
}

/**
 * Runs a program and returns its output. Killed with SIGKILL on abort: a program that hangs may ignore SIGTERM, the
 * only signal that `execFile` would send.
 */
async function answerOf(program: string, argument: string, signal: AbortSignal): Promise<{ readonly stdout: string }> {
  signal.throwIfAborted();
  const running = promisify(execFile)(program, [argument]);
  const kill = () => void running.child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    return await running;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}
